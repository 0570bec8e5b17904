# The repository's connection and its triggers. What a trigger says stands in infra/triggers alone, which
# `ct trigger git` obeys on a machine of one's own: it is read here, not said again.

variable "project" {
  description = "Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of the connection and of builds."
  type        = string
}

variable "repository" {
  description = "The GitHub repository; see the root module."
  type = object({
    owner           = string
    name            = string
    installation_id = number
    token_secret    = string
  })
}

variable "builds" {
  description = "Names of the files of infra/triggers."
  type        = set(string)
}

variable "service_account" {
  description = "Full name of the service account that builds have."
  type        = string
}

variable "substitutions" {
  description = "Values for cloudbuild.yaml; they lead over those of the trigger's file."
  type        = map(string)
}

variable "approval" {
  description = "Whether a person approves each build."
  type        = bool
}

locals {
  triggers = { for name in var.builds : name => yamldecode(file("${path.module}/../../../triggers/${name}.yaml")) }
  push     = { for name, trigger in local.triggers : name => try(trigger.github.push, null) }
  pull     = { for name, trigger in local.triggers : name => try(trigger.github.pullRequest, null) }
}

data "google_secret_manager_secret_version" "token" {
  project = var.project
  secret  = var.repository.token_secret
}

resource "google_cloudbuildv2_connection" "github" {
  project  = var.project
  location = var.region
  name     = "github"

  github_config {
    app_installation_id = var.repository.installation_id

    authorizer_credential {
      oauth_token_secret_version = data.google_secret_manager_secret_version.token.name
    }
  }
}

resource "google_cloudbuildv2_repository" "source" {
  project           = var.project
  location          = var.region
  name              = var.repository.name
  parent_connection = google_cloudbuildv2_connection.github.name
  remote_uri        = "https://github.com/${var.repository.owner}/${var.repository.name}.git"
}

resource "google_cloudbuild_trigger" "file" {
  for_each = local.triggers

  project         = var.project
  location        = var.region
  name            = each.value.name
  description     = try(each.value.description, null)
  disabled        = try(each.value.disabled, false)
  service_account = var.service_account
  filename        = each.value.filename
  included_files  = try(each.value.includedFiles, [])
  ignored_files   = try(each.value.ignoredFiles, [])
  substitutions   = merge(try(each.value.substitutions, {}), var.substitutions)

  repository_event_config {
    repository = google_cloudbuildv2_repository.source.id

    dynamic "push" {
      for_each = local.push[each.key] == null ? [] : [local.push[each.key]]

      content {
        branch       = try(push.value.branch, null)
        tag          = try(push.value.tag, null)
        invert_regex = try(push.value.invertRegex, false)
      }
    }

    dynamic "pull_request" {
      for_each = local.pull[each.key] == null ? [] : [local.pull[each.key]]

      content {
        branch          = pull_request.value.branch
        comment_control = try(pull_request.value.commentControl, "COMMENTS_ENABLED_FOR_EXTERNAL_CONTRIBUTORS_ONLY")
        invert_regex    = try(pull_request.value.invertRegex, false)
      }
    }
  }

  approval_config {
    approval_required = var.approval || try(each.value.approvalConfig.approvalRequired, false)
  }
}

output "substitutions" {
  description = "What each trigger hands to cloudbuild.yaml."
  value       = { for name, trigger in google_cloudbuild_trigger.file : name => trigger.substitutions }
}
