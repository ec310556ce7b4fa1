-- Do the images of a scoring run differ from the validation images of its model by more than chance explains?
-- One row for each run and statistic, newest run first. "distance": the share of the sources (examinations, as far as
-- the images show them) that would have to have other values; "expected": its mean under chance; "differs": chance does
-- not explain it, and it exceeds chance by at least 0.1. A run with too few images is "waiting" until the small
-- runs of the model have enough together; then all of them have the result. Runs of models without a guard, and runs that scored nothing new, are not compared.
-- about: scorers
-- empty: this model scored nothing new in these days; run: mri score FOLDER
-- :model  a model id or the start of one; default: the champion, without one the model that scored last
-- :days  so many days back from now; default: 30
SELECT
    scoring_run.id AS run_id,
    scoring_run.drift,
    drift_metric.statistic,
    drift_metric.distance,
    drift_metric.expected,
    drift_metric.p_value,
    drift_metric.differs,
    scoring_run.drift_images AS images,
    scoring_run.drift_sources AS sources
FROM scoring_run
LEFT JOIN drift_metric ON scoring_run.id = drift_metric.run_id
WHERE scoring_run.model_id = :model AND scoring_run.drift IS NOT NULL AND scoring_run.finished_at >= :since
ORDER BY
    scoring_run.finished_at DESC,
    scoring_run.id DESC,
    drift_metric.distance - drift_metric.expected DESC,
    drift_metric.statistic
