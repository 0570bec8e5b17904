# Who hears of what: failed runs and builds, messages kept aside, spending. Audit logs are kept in a bucket of their own.

variable "project" {
  description = "Google Cloud project."
  type        = string
}

variable "environment" {
  description = "Environment, for titles."
  type        = string
}

variable "notices" {
  description = "Mail address."
  type        = string
}

variable "budget" {
  description = "Billing account and amount a month, or null."
  type = object({
    billing_account = string
    amount          = number
  })
}

variable "log_bucket" {
  description = "Bucket that audit logs are kept in."
  type        = string
}

locals {
  # A line of the log that fits starts an alert; one notice an hour at most of each kind.
  failures = {
    run = {
      title  = "a pipeline run failed"
      filter = "resource.type=\"aiplatform.googleapis.com/PipelineJob\" jsonPayload.state=\"PIPELINE_STATE_FAILED\""
    }
    build = {
      title  = "a build failed"
      filter = "resource.type=\"build\" severity>=ERROR"
    }
    watch = {
      title  = "ct receive or ct watch reports an error"
      filter = "resource.type=(\"cloud_run_revision\" OR \"cloud_run_worker_pool\") severity>=ERROR"
    }
  }
}

resource "google_monitoring_notification_channel" "mail" {
  project      = var.project
  display_name = "ct ${var.environment}"
  type         = "email"
  labels       = { email_address = var.notices }
}

resource "google_monitoring_alert_policy" "failure" {
  for_each = local.failures

  project               = var.project
  display_name          = "ct ${var.environment}: ${each.value.title}"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.mail.id]

  conditions {
    display_name = each.value.title

    condition_matched_log {
      filter = each.value.filter
    }
  }

  alert_strategy {
    auto_close = "86400s"

    notification_rate_limit {
      period = "3600s"
    }
  }
}

resource "google_monitoring_alert_policy" "dead_messages" {
  project               = var.project
  display_name          = "ct ${var.environment}: messages that no trigger could handle"
  combiner              = "OR"
  notification_channels = [google_monitoring_notification_channel.mail.id]

  conditions {
    display_name = "messages kept aside"

    condition_threshold {
      filter          = "resource.type=\"pubsub_subscription\" resource.label.subscription_id=\"ct-events-dead\" metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "300s"

      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }
}

resource "google_logging_project_sink" "audit" {
  project                = var.project
  name                   = "ct-audit"
  destination            = "storage.googleapis.com/${var.log_bucket}"
  filter                 = "log_id(\"cloudaudit.googleapis.com/activity\") OR log_id(\"cloudaudit.googleapis.com/data_access\")"
  unique_writer_identity = true
}

resource "google_storage_bucket_iam_member" "audit" {
  bucket = var.log_bucket
  role   = "roles/storage.objectCreator"
  member = google_logging_project_sink.audit.writer_identity
}

resource "google_billing_budget" "month" {
  count = var.budget == null ? 0 : 1

  billing_account = var.budget.billing_account
  display_name    = "ct ${var.environment}"

  budget_filter {
    projects = ["projects/${var.project}"]
  }

  amount {
    specified_amount {
      units = tostring(var.budget.amount)
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]

    content {
      threshold_percent = threshold_rules.value
    }
  }

  all_updates_rule {
    monitoring_notification_channels = [google_monitoring_notification_channel.mail.id]
  }
}
