# terraform plan -var-file=environments/preprod.tfvars
project     = "your-organisation-ct-preprod"
environment = "preprod"
settings    = "vertex-preprod"
builds      = ["preproduction"]
built_in    = "your-organisation-ct-test"
notices     = "ml-team@example.com"
readers     = ["group:ml-team@example.com"]
approvers   = ["group:ml-team@example.com"]

repository = {
  owner           = "your-organisation"
  name            = "kfp-ct"
  installation_id = 12345678
  token_secret    = "github-token"
}

evidence_days = 90
artifact_days = 90
