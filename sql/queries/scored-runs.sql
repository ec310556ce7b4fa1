-- Which folders were scored, with which model, and with which counts, newest first?
-- A run without finished_at is running, or was interrupted.
SELECT
    started_at,
    finished_at,
    id,
    model_id,
    folder,
    n_found,
    n_scored,
    n_abstained,
    n_rejected,
    n_reused,
    parquet
FROM scoring_run
ORDER BY started_at DESC, id DESC
