# Secrets by name. Their values never pass through Terraform, whose state would keep them:
#     gcloud secrets versions add NAME --data-file=-

variable "region" {
  description = "Region that the secrets are kept in."
  type        = string
}

variable "names" {
  description = "Names of the secrets."
  type        = set(string)
}

variable "members" {
  description = "Service accounts as members, by job."
  type        = map(string)
}

locals {
  secret_grants = {
    "pipelines/roles/secretmanager.secretAccessor" = "tasks: secrets that settings refer to"
  }

  access = merge([
    for name in var.names : { for grant, why in local.secret_grants : "${name}/${grant}" => { name = name, grant = split("/", grant) } }
  ]...)
}

resource "google_secret_manager_secret" "named" {
  for_each = var.names

  secret_id = each.value

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }
}

resource "google_secret_manager_secret_iam_member" "job" {
  for_each = local.access

  secret_id = google_secret_manager_secret.named[each.value.name].id
  role      = join("/", slice(each.value.grant, 1, 3))
  member    = var.members[each.value.grant[0]]
}
