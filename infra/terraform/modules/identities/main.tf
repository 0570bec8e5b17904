# One service account a job, and what each may do in the whole project. What they may do with one bucket, one data set or
# one repository stands beside it. Why each right is there is said here; docs/google-cloud.md has the table of all.

variable "project" {
  description = "Google Cloud project."
  type        = string
}

variable "readers" {
  description = "Principals who may look."
  type        = set(string)
}

variable "approvers" {
  description = "Principals who may approve builds."
  type        = set(string)
}

locals {
  jobs = {
    build      = "Cloud Build: tests, builds images, compiles, deploys"
    pipelines  = "Runs of pipelines on Vertex AI"
    prediction = "The prediction service and the endpoint's models"
    triggers   = "ct receive, ct watch: start runs"
    push       = "Pub/Sub and Cloud Scheduler: call ct receive"
  }

  project_grants = {
    "build/roles/aiplatform.user"              = "deploy: runs and schedules of pipelines"
    "build/roles/logging.logWriter"            = "the build's log"
    "pipelines/roles/aiplatform.user"          = "register, deploy: models, the endpoint, metadata of runs"
    "pipelines/roles/bigquery.jobUser"         = "ingest, monitor: queries"
    "pipelines/roles/bigquery.readSessionUser" = "ingest, monitor: what queries and tables hold"
    "pipelines/roles/logging.logWriter"        = "the tasks' logs"
    "pipelines/roles/monitoring.viewer"        = "monitor: errors and latency of the endpoint"
    "prediction/roles/logging.logWriter"       = "the service's log"
    "triggers/roles/aiplatform.user"           = "ct receive, ct watch: list and start runs"
    "triggers/roles/bigquery.jobUser"          = "ct receive, ct watch: ask whether a table has changed"
    "triggers/roles/logging.logWriter"         = "the log of ct receive, ct watch"
  }

  # Who starts runs hands them their service account.
  acting_grants = {
    "build/pipelines"      = "deploy: schedules and runs have this account"
    "triggers/pipelines"   = "ct receive, ct watch: runs have this account"
    "pipelines/prediction" = "deploy: models on the endpoint have this account"
  }

  reader_roles = {
    "roles/aiplatform.viewer"        = "pipelines, models, endpoints"
    "roles/artifactregistry.reader"  = "images"
    "roles/cloudbuild.builds.viewer" = "builds"
    "roles/logging.viewer"           = "logs"
    "roles/monitoring.viewer"        = "dashboards and alerts"
  }

  reader_grants = merge([
    for role, why in local.reader_roles : { for reader in var.readers : "${role} ${reader}" => { role = role, member = reader } }
  ]...)
}

resource "google_service_account" "job" {
  for_each = local.jobs

  project      = var.project
  account_id   = "ct-${each.key}"
  display_name = "ct-${each.key}"
  description  = each.value
}

resource "google_project_iam_member" "job" {
  for_each = local.project_grants

  project = var.project
  role    = join("/", slice(split("/", each.key), 1, 3))
  member  = google_service_account.job[split("/", each.key)[0]].member
}

resource "google_service_account_iam_member" "acting" {
  for_each = local.acting_grants

  service_account_id = google_service_account.job[split("/", each.key)[1]].name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.job[split("/", each.key)[0]].member
}

resource "google_project_iam_member" "reader" {
  for_each = local.reader_grants

  project = var.project
  role    = each.value.role
  member  = each.value.member
}

resource "google_project_iam_member" "approver" {
  for_each = var.approvers

  project = var.project
  role    = "roles/cloudbuild.builds.approver"
  member  = each.value
}

output "names" {
  description = "Full names of the service accounts (projects/…/serviceAccounts/…), by job."
  value       = { for job, account in google_service_account.job : job => account.name }
}

output "emails" {
  description = "E-mail addresses of the service accounts, by job."
  value       = { for job, account in google_service_account.job : job => account.email }
}

output "members" {
  description = "The service accounts as members of IAM policies, by job."
  value       = { for job, account in google_service_account.job : job => account.member }
}
