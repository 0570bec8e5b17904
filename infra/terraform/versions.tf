terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }

  # terraform init -backend-config="bucket=…": one bucket and one state an environment.
  backend "gcs" {
    prefix = "kfp-ct"
  }
}

provider "google" {
  project               = var.project
  region                = var.region
  billing_project       = var.project
  user_project_override = true

  default_labels = {
    app         = "kfp-ct"
    environment = var.environment
  }
}
