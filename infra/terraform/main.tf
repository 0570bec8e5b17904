# What a project of Google Cloud needs for continuous training. One state an environment; see docs/google-cloud.md.

module "services" {
  source  = "./modules/services"
  project = var.project
}

module "identities" {
  source    = "./modules/identities"
  project   = module.services.project
  readers   = var.readers
  approvers = var.approvers
}

module "artifacts" {
  source         = "./modules/artifacts"
  region         = var.region
  encryption_key = var.encryption_key
  members        = module.identities.members

  depends_on = [module.services]
}

module "storage" {
  source         = "./modules/storage"
  project        = module.services.project
  region         = var.region
  encryption_key = var.encryption_key
  evidence_days  = var.evidence_days
  artifact_days  = var.artifact_days
  members        = module.identities.members
}

module "warehouse" {
  source         = "./modules/warehouse"
  project        = module.services.project
  region         = var.region
  encryption_key = var.encryption_key
  members        = module.identities.members
}

module "secrets" {
  source  = "./modules/secrets"
  region  = var.region
  names   = var.secrets
  members = module.identities.members

  depends_on = [module.services]
}

module "vertex" {
  source           = "./modules/vertex"
  region           = var.region
  name             = var.ct_project
  encryption_key   = var.encryption_key
  private_projects = var.private_projects

  depends_on = [module.services]
}

module "build" {
  source          = "./modules/build"
  project         = module.services.project
  region          = var.region
  repository      = var.repository
  builds          = var.builds
  approval        = var.approval
  service_account = module.identities.names["build"]
  substitutions = {
    _PROJECT  = var.ct_project
    _SETTINGS = var.settings
    _REGISTRY = replace(module.artifacts.registry, var.project, coalesce(var.built_in, var.project))
    _REGION   = var.region
    _BUCKET   = replace(module.storage.buckets["evidence"], var.project, coalesce(var.built_in, var.project))
    _TARGET   = "vertex"
    _SERVED   = var.load_test ? "https://${var.region}-aiplatform.googleapis.com/v1/${module.vertex.endpoint}" : ""
  }
}

module "events" {
  source         = "./modules/events"
  project        = module.services.project
  region         = var.region
  encryption_key = var.encryption_key
  ct_project     = var.ct_project
  settings       = var.settings
  image          = var.triggers_image
  nightly        = var.nightly
  data_bucket    = module.storage.buckets["data"]
  state          = "gs://${module.storage.buckets["state"]}/watch"
  accounts       = module.identities.emails
  receive        = var.receive
}

module "alerts" {
  source      = "./modules/alerts"
  project     = module.services.project
  environment = var.environment
  notices     = var.notices
  budget      = var.budget
  log_bucket  = module.storage.buckets["logs"]
}
