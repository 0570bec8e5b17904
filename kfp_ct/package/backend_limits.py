"""What a KFP backend has room for: refused here, so that nothing fails there when it is too late."""

# MySQL, KFP's default database, keeps the descriptions of runs, recurring runs and experiments as VARCHAR(255), those
# of pipelines and versions as LONGTEXT. A recurring run whose description is longer leaves a schedule in the cluster
# that fires and stands in no list.
LONGEST_DESCRIPTION = 255
