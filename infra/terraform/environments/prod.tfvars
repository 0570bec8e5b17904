# terraform plan -var-file=environments/prod.tfvars
project     = "your-organisation-ct-prod"
environment = "prod"
settings    = "vertex-prod"
builds      = ["release"]
built_in    = "your-organisation-ct-test"
notices     = "ml-on-call@example.com"
readers     = ["group:ml-team@example.com"]
approvers   = ["group:ml-leads@example.com"]

repository = {
  owner           = "your-organisation"
  name            = "kfp-ct"
  installation_id = 12345678
  token_secret    = "github-token"
}

budget = {
  billing_account = "000000-000000-000000"
  amount          = 500
}
