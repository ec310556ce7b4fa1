-- Which folders were scored, with what model, and how many files came to what, newest first?
-- A run without an end is still going on, or was cut off.
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
