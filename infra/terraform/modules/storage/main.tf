# Buckets, one a purpose: rights, life and retention differ. Access is by IAM alone and never public.

variable "project" {
  description = "Google Cloud project; bucket names begin with it."
  type        = string
}

variable "region" {
  description = "Region of the buckets."
  type        = string
}

variable "encryption_key" {
  description = "Cloud KMS key, or empty."
  type        = string
}

variable "evidence_days" {
  description = "Days for which evidence can be neither changed nor deleted."
  type        = number
}

variable "artifact_days" {
  description = "Days after which artifacts of runs are deleted."
  type        = number
}

variable "members" {
  description = "Service accounts as members, by job."
  type        = map(string)
}

locals {
  # delete_days: objects are deleted so many days after they were written; retain_days: not before so many. 0: neither.
  buckets = {
    data      = { delete_days = 0, retain_days = 0, what = "source data" }
    pipelines = { delete_days = var.artifact_days, retain_days = 0, what = "artifacts of runs and compiled versions" }
    serving   = { delete_days = 0, retain_days = 0, what = "served models" }
    state     = { delete_days = 0, retain_days = 0, what = "checkpoints, request logs, monitoring history, state of triggers" }
    evidence  = { delete_days = 0, retain_days = var.evidence_days, what = "what was delivered: packages, SBOMs, scans, provenance" }
    logs      = { delete_days = 400, retain_days = 0, what = "audit logs and access logs of the other buckets" }
  }

  bucket_grants = {
    "evidence/build/roles/storage.objectCreator"    = "deliver: writes once, cannot change or delete"
    "evidence/build/roles/storage.objectViewer"     = "deliver again: an equal object is left as it is"
    "pipelines/build/roles/storage.objectUser"      = "deploy: versions of pipelines, code packages"
    "data/pipelines/roles/storage.objectViewer"     = "ingest: reads sources"
    "pipelines/pipelines/roles/storage.objectUser"  = "every task: artifacts"
    "serving/pipelines/roles/storage.objectUser"    = "deploy: publishes a model, moves the pointer"
    "state/pipelines/roles/storage.objectUser"      = "train: checkpoints; monitor: request logs, history"
    "serving/prediction/roles/storage.objectViewer" = "the service: loads models"
    "state/prediction/roles/storage.objectUser"     = "the service: appends request logs"
    "data/triggers/roles/storage.objectViewer"      = "ct receive, ct watch: list sources"
    "pipelines/triggers/roles/storage.objectUser"   = "ct receive, ct watch: read the deployed version, write runs' inputs"
    "state/triggers/roles/storage.objectUser"       = "ct receive, ct watch: their state, written on a condition"
  }
}

resource "google_storage_bucket" "purpose" {
  for_each = local.buckets

  project                     = var.project
  name                        = "${var.project}-ct-${each.key}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false

  versioning {
    enabled = true
  }

  # A version that was replaced is kept for a month.
  lifecycle_rule {
    action {
      type = "Delete"
    }

    condition {
      days_since_noncurrent_time = 30
      with_state                 = "ARCHIVED"
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.delete_days > 0 ? [each.value.delete_days] : []

    content {
      action {
        type = "Delete"
      }

      condition {
        age        = lifecycle_rule.value
        with_state = "LIVE"
      }
    }
  }

  dynamic "retention_policy" {
    for_each = each.value.retain_days > 0 ? [each.value.retain_days] : []

    content {
      retention_period = tostring(retention_policy.value * 86400)
    }
  }

  dynamic "encryption" {
    for_each = var.encryption_key == "" ? [] : [var.encryption_key]

    content {
      default_kms_key_name = encryption.value
    }
  }

  dynamic "logging" {
    for_each = each.key == "logs" ? [] : ["${var.project}-ct-logs"]

    content {
      log_bucket        = logging.value
      log_object_prefix = each.key
    }
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_storage_bucket_iam_member" "job" {
  for_each = local.bucket_grants

  bucket = google_storage_bucket.purpose[split("/", each.key)[0]].name
  role   = join("/", slice(split("/", each.key), 2, 4))
  member = var.members[split("/", each.key)[1]]
}

output "buckets" {
  description = "Names of the buckets, by purpose."
  value       = { for purpose, bucket in google_storage_bucket.purpose : purpose => bucket.name }
}
