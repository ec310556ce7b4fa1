-- Which results came from a model that is retired since, the last retired first?
-- One row for each scoring run; "scored" is its last day in UTC. The rows of single files: mri query provenance.
-- empty: no result is from a retired model
SELECT
    model_stage.since AS retired_at,
    prediction.model_id,
    prediction.run_id,
    scoring_run.folder,
    COUNT(*) AS files,
    SUBSTR(CAST(MAX(prediction.scored_at) AS TEXT), 1, 10) AS scored
FROM prediction
INNER JOIN model_stage ON prediction.model_id = model_stage.model_id
INNER JOIN scoring_run ON prediction.run_id = scoring_run.id
WHERE model_stage.stage = 'retired'
GROUP BY model_stage.since, prediction.model_id, prediction.run_id, scoring_run.folder
ORDER BY retired_at DESC, prediction.model_id, prediction.run_id
