-- Which folders were scored, with which model, and with which counts, newest first?
-- The counts of a run that is not finished are those of the files done so far.
-- "superseded": it was interrupted, and the folder changed before it was scored again. A run that is "running" with
-- active_until in the past was interrupted: the same command goes on with it.
WITH done AS (
    SELECT
        run_id,
        SUM(n_scored) AS n_scored,
        SUM(n_abstained) AS n_abstained,
        SUM(n_rejected) AS n_rejected,
        SUM(n_reused) AS n_reused
    FROM scoring_shard
    WHERE done_at IS NOT NULL
    GROUP BY run_id
)
SELECT
    scoring_run.started_at,
    scoring_run.finished_at,
    scoring_run.status,
    scoring_run.active_until,
    scoring_run.id,
    scoring_run.model_id,
    scoring_run.folder,
    scoring_run.n_found,
    COALESCE(done.n_scored, scoring_run.n_scored) AS n_scored,
    COALESCE(done.n_abstained, scoring_run.n_abstained) AS n_abstained,
    COALESCE(done.n_rejected, scoring_run.n_rejected) AS n_rejected,
    COALESCE(done.n_reused, scoring_run.n_reused) AS n_reused,
    scoring_run.drift,
    scoring_run.engine,
    scoring_run.risk,
    scoring_run.parquet
FROM scoring_run
LEFT JOIN done ON scoring_run.id = done.run_id
ORDER BY scoring_run.started_at DESC, scoring_run.id DESC
