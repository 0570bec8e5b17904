variable "project" {
  description = "Google Cloud project of this environment; each environment has its own."
  type        = string
}

variable "environment" {
  description = "Which of the three environments this is."
  type        = string

  validation {
    condition     = contains(["test", "preprod", "prod"], var.environment)
    error_message = "The environment is one of test, preprod, prod."
  }
}

variable "region" {
  description = "Region of everything that has one."
  type        = string
  default     = "europe-west1"
}

variable "repository" {
  description = "GitHub repository that is built: its owner, its name, the id of the Cloud Build app's installation there, and the secret with that app's token."
  type = object({
    owner           = string
    name            = string
    installation_id = number
    token_secret    = string
  })
}

variable "builds" {
  description = "Names of the files of infra/triggers that this environment's Cloud Build obeys, without .yaml."
  type        = set(string)
}

variable "built_in" {
  description = "Project that builds and delivers, where this one promotes what another delivered; this one by default."
  type        = string
  default     = null
}

variable "approval" {
  description = "Whether a person approves each build before it starts; a trigger's file may ask for it too."
  type        = bool
  default     = true
}

variable "load_test" {
  description = "Whether delivery drives the endpoint with recorded requests (step `load`), and does not pass where it does not bear them; true once it serves a model."
  type        = bool
  default     = false
}

variable "ct_project" {
  description = "Project of the repository (a folder of pipelines/) that is deployed and watched."
  type        = string
  default     = "flights"
}

variable "settings" {
  description = "Settings of that project for this environment (a file of its settings/, without .yaml)."
  type        = string
}

variable "approvers" {
  description = "Principals, such as group:ml-leads@example.com, who may approve builds."
  type        = set(string)
  default     = []
}

variable "readers" {
  description = "Principals who may look at pipelines, models, logs and dashboards, and change nothing."
  type        = set(string)
  default     = []
}

variable "evidence_days" {
  description = "Days for which what was delivered (packages, SBOMs, provenance) can be neither changed nor deleted."
  type        = number
  default     = 365
}

variable "artifact_days" {
  description = "Days after which artifacts of runs are deleted from the pipelines' bucket."
  type        = number
  default     = 180
}

variable "secrets" {
  description = "Names of secrets that tasks read; their values are put in by a person, never by Terraform."
  type        = set(string)
  default     = []
}

variable "receive" {
  description = "Whether events are pushed to `ct receive`, which sleeps between them; else `ct watch` pulls them and is always awake."
  type        = bool
  default     = true
}

variable "triggers_image" {
  description = "Author image, by digest, that runs `ct receive` or `ct watch`; empty before the first build, and then nothing starts runs."
  type        = string
  default     = ""

  validation {
    condition     = var.triggers_image == "" || can(regex("@sha256:[0-9a-f]{64}$", var.triggers_image))
    error_message = "The image of the watcher ends in @sha256: and 64 hexadecimal digits, as images.lock has it."
  }
}

variable "nightly" {
  description = "When Cloud Scheduler sends the message that the schedule trigger `nightly` waits for: cron, in UTC."
  type        = string
  default     = "0 3 * * *"
}

variable "budget" {
  description = "Billing account, and the amount a month in its currency above which a notice is sent; null: no budget."
  type = object({
    billing_account = string
    amount          = number
  })
  default = null
}

variable "notices" {
  description = "Mail address that alerts and budget notices go to."
  type        = string
}

variable "private_projects" {
  description = "Projects that may reach the endpoint by Private Service Connect; none: it has a public address, and IAM alone keeps others out. It cannot be changed later."
  type        = set(string)
  default     = []
}

variable "encryption_key" {
  description = "Cloud KMS key (projects/…/cryptoKeys/…) for buckets, images, topics, tables and the endpoint; empty: Google's own keys."
  type        = string
  default     = ""
}
