# `ct receive` on Cloud Run: Pub/Sub pushes each message to it, and Cloud Scheduler has it look every five minutes for
# what was held back. Both have the service account ct-push, which alone may call it, from inside the project; it looks
# at whose token it is once more.

locals {
  # The service's address is known only once it is there; tokens are signed for this name of it.
  audience = "https://ct-receive.${var.project}.example"
  received = var.image == "" || !var.receive ? 0 : 1

  service_grants = {
    "push/roles/run.invoker" = "Pub/Sub and Cloud Scheduler: call ct receive"
  }
}

resource "google_cloud_run_v2_service" "receive" {
  count = local.received

  project             = var.project
  location            = var.region
  name                = "ct-receive-${var.ct_project}"
  ingress             = "INGRESS_TRAFFIC_INTERNAL_ONLY"
  custom_audiences    = [local.audience]
  deletion_protection = false

  template {
    service_account                  = var.accounts["triggers"]
    timeout                          = "300s"
    max_instance_request_concurrency = 20

    # Two instances agree, by the state's conditional writes, that one of them acts.
    scaling {
      min_instance_count = 0
      max_instance_count = 2
    }

    containers {
      image   = var.image
      command = ["ct"]
      args = [
        "receive", var.ct_project, "--settings", var.settings, "--target", "vertex", "--state", local.state,
        "--audience", local.audience, "--sender", var.accounts["push"], "--behind-iam",
      ]

      ports {
        container_port = 8080
      }

      resources {
        limits = {
          cpu    = "1"
          memory = "1Gi"
        }
      }

      startup_probe {
        period_seconds    = 3
        failure_threshold = 20

        http_get {
          path = "/livez"
        }
      }
    }
  }
}

resource "google_cloud_run_v2_service_iam_member" "push" {
  for_each = local.received == 0 ? {} : local.service_grants

  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_service.receive[0].name
  role     = join("/", slice(split("/", each.key), 1, 3))
  member   = "serviceAccount:${var.accounts[split("/", each.key)[0]]}"
}

resource "google_pubsub_subscription" "receive" {
  count = local.received

  project                    = var.project
  name                       = "ct-receive-${var.ct_project}"
  topic                      = google_pubsub_topic.events.id
  ack_deadline_seconds       = 300
  message_retention_duration = "604800s"

  push_config {
    push_endpoint = "${google_cloud_run_v2_service.receive[0].uri}/"

    oidc_token {
      service_account_email = var.accounts["push"]
      audience              = local.audience
    }
  }

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

  depends_on = [google_cloud_run_v2_service_iam_member.push]
}

resource "google_cloud_scheduler_job" "look" {
  count = local.received

  project          = var.project
  region           = var.region
  name             = "ct-look-${var.ct_project}"
  description      = "Has ct receive look for runs that were held back"
  schedule         = "*/5 * * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "300s"

  http_target {
    http_method = "POST"
    uri         = "${google_cloud_run_v2_service.receive[0].uri}/look"

    oidc_token {
      service_account_email = var.accounts["push"]
      audience              = local.audience
    }
  }
}
