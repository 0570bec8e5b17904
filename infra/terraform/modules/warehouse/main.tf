# BigQuery: predictions of batches and what the endpoint was asked.

variable "project" {
  description = "Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of the data set."
  type        = string
}

variable "encryption_key" {
  description = "Cloud KMS key, or empty."
  type        = string
}

variable "members" {
  description = "Service accounts as members, by job."
  type        = map(string)
}

locals {
  dataset_grants = {
    "pipelines/roles/bigquery.dataEditor"  = "predict_batch, monitor: write predictions, read request logs"
    "prediction/roles/bigquery.dataEditor" = "the endpoint: appends request logs"
    "triggers/roles/bigquery.dataViewer"   = "ct receive, ct watch: ask whether a table has changed"
  }
}

resource "google_bigquery_dataset" "predictions" {
  project                    = var.project
  dataset_id                 = "ct_predictions"
  friendly_name              = "Predictions and request logs"
  location                   = var.region
  delete_contents_on_destroy = false

  # Partitions older than this are deleted; labels come far earlier.
  default_partition_expiration_ms = 400 * 24 * 3600 * 1000

  dynamic "default_encryption_configuration" {
    for_each = var.encryption_key == "" ? [] : [var.encryption_key]

    content {
      kms_key_name = default_encryption_configuration.value
    }
  }
}

resource "google_bigquery_dataset_iam_member" "job" {
  for_each = local.dataset_grants

  project    = var.project
  dataset_id = google_bigquery_dataset.predictions.dataset_id
  role       = join("/", slice(split("/", each.key), 1, 3))
  member     = var.members[split("/", each.key)[0]]
}

output "dataset" {
  description = "The data set, as project.dataset."
  value       = "${var.project}.${google_bigquery_dataset.predictions.dataset_id}"
}
