# Vertex AI: the endpoint that models are deployed to. Which model, how much traffic and how many machines is the release's
# word (`ct`), not Terraform's: it would undo each release at the next apply.

variable "region" {
  description = "Region of the endpoint."
  type        = string
}

variable "name" {
  description = "Project of the repository; the endpoint's name."
  type        = string
}

variable "encryption_key" {
  description = "Cloud KMS key, or empty."
  type        = string
}

variable "private_projects" {
  description = "Projects that may connect by Private Service Connect; none: the endpoint has a public address."
  type        = set(string)
}

resource "google_vertex_ai_endpoint" "model" {
  name         = "ct-${var.name}"
  display_name = var.name
  description  = "Champion of ${var.name}"
  location     = var.region
  region       = var.region

  dynamic "encryption_spec" {
    for_each = var.encryption_key == "" ? [] : [var.encryption_key]

    content {
      kms_key_name = encryption_spec.value
    }
  }

  dynamic "private_service_connect_config" {
    for_each = length(var.private_projects) == 0 ? [] : [var.private_projects]

    content {
      enable_private_service_connect = true
      project_allowlist              = private_service_connect_config.value
    }
  }

  lifecycle {
    ignore_changes = [traffic_split, predict_request_response_logging_config]
  }
}

output "endpoint" {
  description = "Full name of the endpoint."
  value       = google_vertex_ai_endpoint.model.id
}
