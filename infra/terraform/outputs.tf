# `terraform output -json | ct settings from-terraform` writes these into a settings file.
output "settings" {
  description = "What settings of this environment say: section vertex, the endpoint that serves, the places of models and state."
  value = {
    vertex = {
      project         = var.project
      location        = var.region
      bucket          = "gs://${module.storage.buckets["pipelines"]}"
      service_account = module.identities.emails["pipelines"]
      encryption_key  = var.encryption_key
    }
    parameters = {
      serving_root = "gs://${module.storage.buckets["serving"]}/models"
      checkpoints  = "gs://${module.storage.buckets["state"]}/checkpoints"
      serving = {
        target          = "vertex"
        timeout_seconds = 2400
        vertex = {
          project          = var.project
          location         = var.region
          endpoint         = basename(module.vertex.endpoint)
          service_account  = module.identities.emails["prediction"]
          encryption_key   = var.encryption_key
          private_projects = var.private_projects
          request_log      = "gs://${module.storage.buckets["state"]}/requests"
          bigquery_log     = "bq://${module.warehouse.requests}"
        }
      }
    }
  }
}

output "substitutions" {
  description = "What the triggers hand to cloudbuild.yaml."
  value       = module.build.substitutions
}

output "registry" {
  description = "Artifact Registry repository of the images."
  value       = module.artifacts.registry
}

output "endpoint" {
  description = "Vertex AI endpoint of the model."
  value       = module.vertex.endpoint
}

output "subscription" {
  description = "Pub/Sub subscription of the events: pushed to `ct receive`, or read by `ct watch --pubsub`."
  value       = module.events.subscription
}

output "receiver" {
  description = "Address of `ct receive`; empty where `ct watch` pulls."
  value       = module.events.service
}

output "service_accounts" {
  description = "E-mail addresses of the service accounts, by job."
  value       = module.identities.emails
}
