# What starts runs: new objects of the data bucket and Cloud Scheduler's clock are messages of one topic. Either Pub/Sub
# pushes them to `ct receive` on Cloud Run (receive.tf), which costs nothing while nothing happens; or `ct watch` pulls
# them, always awake, and nothing here has an address. A message that cannot be handled is kept aside.

variable "project" {
  description = "Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of the watcher, the clock and the messages."
  type        = string
}

variable "encryption_key" {
  description = "Cloud KMS key, or empty."
  type        = string
}

variable "ct_project" {
  description = "Project of the repository that is watched."
  type        = string
}

variable "settings" {
  description = "Its settings."
  type        = string
}

variable "image" {
  description = "Author image by digest; empty: nothing watches yet."
  type        = string
}

variable "receive" {
  description = "Whether `ct receive` is pushed the messages; else `ct watch` pulls them."
  type        = bool
}

variable "nightly" {
  description = "Cron expression, in UTC."
  type        = string
}

variable "data_bucket" {
  description = "Bucket of the source data."
  type        = string
}

variable "state" {
  description = "Folder gs://… of the triggers' state."
  type        = string
}

variable "accounts" {
  description = "E-mail addresses of the service accounts, by job."
  type        = map(string)
}

data "google_storage_project_service_account" "storage" {
  project = var.project
}

data "google_project" "this" {
  project_id = var.project
}

locals {
  kms_key = var.encryption_key == "" ? null : var.encryption_key
  # Pub/Sub itself moves messages that failed too often.
  pubsub = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
  # One object, whoever writes it: what has started a run under the one does not start another under the other.
  state        = "${var.state}/${var.ct_project}.json"
  subscription = var.receive ? google_pubsub_subscription.receive : google_pubsub_subscription.watch
}

resource "google_pubsub_topic" "events" {
  project                    = var.project
  name                       = "ct-events"
  kms_key_name               = local.kms_key
  message_retention_duration = "604800s"

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
}

resource "google_pubsub_topic" "dead" {
  project                    = var.project
  name                       = "ct-events-dead"
  kms_key_name               = local.kms_key
  message_retention_duration = "2678400s"

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }
}

resource "google_pubsub_subscription" "watch" {
  count = var.receive ? 0 : 1

  project                      = var.project
  name                         = "ct-watch-${var.ct_project}"
  topic                        = google_pubsub_topic.events.id
  ack_deadline_seconds         = 120
  message_retention_duration   = "604800s"
  retain_acked_messages        = false
  enable_exactly_once_delivery = true

  expiration_policy {
    ttl = ""
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead.id
    max_delivery_attempts = 10
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }
}

# Someone has to be able to read what was kept aside.
resource "google_pubsub_subscription" "dead" {
  project                    = var.project
  name                       = "ct-events-dead"
  topic                      = google_pubsub_topic.dead.id
  message_retention_duration = "2678400s"

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_topic_iam_member" "storage" {
  project = var.project
  topic   = google_pubsub_topic.events.name
  role    = "roles/pubsub.publisher"
  member  = data.google_storage_project_service_account.storage.member
}

resource "google_pubsub_topic_iam_member" "dead" {
  project = var.project
  topic   = google_pubsub_topic.dead.name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub
}

resource "google_pubsub_subscription_iam_member" "dead" {
  count = length(local.subscription)

  project      = var.project
  subscription = local.subscription[count.index].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub
}

resource "google_pubsub_subscription_iam_member" "watch" {
  count = var.receive ? 0 : 1

  project      = var.project
  subscription = google_pubsub_subscription.watch[0].name
  role         = "roles/pubsub.subscriber"
  member       = "serviceAccount:${var.accounts["triggers"]}"
}

resource "google_storage_notification" "data" {
  bucket         = var.data_bucket
  topic          = google_pubsub_topic.events.id
  payload_format = "JSON_API_V1"
  event_types    = ["OBJECT_FINALIZE"]

  depends_on = [google_pubsub_topic_iam_member.storage]
}

resource "google_cloud_scheduler_job" "nightly" {
  project     = var.project
  region      = var.region
  name        = "ct-nightly"
  description = "The job that the schedule trigger of triggers.yaml waits for"
  schedule    = var.nightly
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = google_pubsub_topic.events.id
    data       = base64encode(jsonencode({ job = "nightly" }))
  }

  retry_config {
    retry_count = 3
  }
}

resource "google_cloud_run_v2_worker_pool" "watch" {
  count = var.image == "" || var.receive ? 0 : 1

  project             = var.project
  location            = var.region
  name                = "ct-watch-${var.ct_project}"
  deletion_protection = false

  # One is enough: two would agree, by the state's conditional writes, that one of them acts.
  scaling {
    manual_instance_count = 1
  }

  template {
    service_account = var.accounts["triggers"]

    containers {
      image   = var.image
      command = ["ct"]
      args = [
        "watch", var.ct_project, "--settings", var.settings, "--target", "vertex",
        "--pubsub", google_pubsub_subscription.watch[0].id, "--state", local.state,
      ]

      resources {
        limits = {
          cpu    = "1"
          memory = "1Gi"
        }
      }
    }
  }
}

output "subscription" {
  description = "Full name of the subscription; empty before there is an image to push to."
  value       = join("", local.subscription[*].id)
}

output "service" {
  description = "Address of `ct receive`; empty where `ct watch` pulls."
  value       = join("", google_cloud_run_v2_service.receive[*].uri)
}
