# Images. A tag never moves: what is deployed is named by digest, and a commit's tag means one image for ever.

variable "region" {
  description = "Region of the repository."
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
  image_grants = {
    "build/roles/artifactregistry.writer"      = "images: pushes, names by digest"
    "pipelines/roles/artifactregistry.reader"  = "every task's image"
    "prediction/roles/artifactregistry.reader" = "the service's image"
    "triggers/roles/artifactregistry.reader"   = "the image of ct receive, ct watch"
  }
}

resource "google_artifact_registry_repository" "images" {
  location      = var.region
  repository_id = "kfp-ct"
  description   = "Images of components, author and prediction service"
  format        = "DOCKER"
  kms_key_name  = var.encryption_key == "" ? null : var.encryption_key

  docker_config {
    immutable_tags = true
  }

  vulnerability_scanning_config {
    enablement_config = "INHERITED"
  }

  # Layers of builds that nothing names any more; what has a commit's tag stays.
  cleanup_policies {
    id     = "untagged"
    action = "DELETE"

    condition {
      tag_state  = "UNTAGGED"
      older_than = "2592000s"
    }
  }
}

resource "google_artifact_registry_repository_iam_member" "job" {
  for_each = local.image_grants

  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.name
  role       = join("/", slice(split("/", each.key), 1, 3))
  member     = var.members[split("/", each.key)[0]]
}

output "registry" {
  description = "What images' names begin with."
  value       = "${var.region}-docker.pkg.dev/${google_artifact_registry_repository.images.project}/${google_artifact_registry_repository.images.repository_id}"
}
