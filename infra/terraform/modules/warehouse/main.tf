# BigQuery: predictions of batches and what the endpoint was asked. The log's columns are those that Vertex AI writes; it is
# partitioned here, so that a look at a day reads that day.

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

resource "google_bigquery_table" "requests" {
  project       = var.project
  dataset_id    = google_bigquery_dataset.predictions.dataset_id
  table_id      = "requests"
  friendly_name = "Requests and answers of the endpoint"
  clustering    = ["endpoint", "deployed_model_id"]

  deletion_protection = true

  dynamic "encryption_configuration" {
    for_each = var.encryption_key == "" ? [] : [var.encryption_key]

    content {
      kms_key_name = encryption_configuration.value
    }
  }

  time_partitioning {
    type  = "DAY"
    field = "logging_time"
  }

  schema = jsonencode([
    { name = "endpoint", type = "STRING", mode = "NULLABLE" },
    { name = "deployed_model_id", type = "STRING", mode = "NULLABLE" },
    { name = "logging_time", type = "TIMESTAMP", mode = "NULLABLE" },
    { name = "request_id", type = "NUMERIC", mode = "NULLABLE" },
    { name = "request_payload", type = "STRING", mode = "REPEATED" },
    { name = "response_payload", type = "STRING", mode = "REPEATED" },
  ])
}

output "requests" {
  description = "The table that the endpoint's requests and answers are logged to, as project.dataset.table."
  value       = "${var.project}.${google_bigquery_dataset.predictions.dataset_id}.${google_bigquery_table.requests.table_id}"
}

output "dataset" {
  description = "The data set, as project.dataset."
  value       = "${var.project}.${google_bigquery_dataset.predictions.dataset_id}"
}
