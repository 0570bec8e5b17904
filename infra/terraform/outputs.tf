# `terraform output -json | ct settings from-terraform` writes these into a settings file.
output "settings" {
  description = "What settings of this environment say: section vertex, and the places of data and state."
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
  description = "Pub/Sub subscription that `ct watch --pubsub` reads."
  value       = module.events.subscription
}

output "service_accounts" {
  description = "E-mail addresses of the service accounts, by job."
  value       = module.identities.emails
}
