-- Which folders were scored, with which model, and with which counts, newest first?
-- "superseded": it was interrupted, and the folder changed before it was scored again. A run that is "running" with
-- active_until in the past was interrupted: the same command goes on with it.
SELECT
    started_at,
    finished_at,
    status,
    active_until,
    id,
    model_id,
    folder,
    n_found,
    n_scored,
    n_abstained,
    n_rejected,
    n_reused,
    drift,
    engine,
    risk,
    parquet
FROM scoring_run
ORDER BY started_at DESC, id DESC
