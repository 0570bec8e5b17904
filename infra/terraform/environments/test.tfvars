# terraform plan -var-file=environments/test.tfvars
project     = "your-organisation-ct-test"
environment = "test"
settings    = "vertex-test"
builds      = ["main"]
approval    = false
notices     = "ml-team@example.com"
readers     = ["group:ml-team@example.com"]

repository = {
  owner           = "your-organisation"
  name            = "kfp-ct"
  installation_id = 12345678
  token_secret    = "github-token"
}

evidence_days = 30
artifact_days = 30
