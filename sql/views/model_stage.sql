-- Which stage has each model, candidate, champion or retired, and since when?
-- A model that was never promoted is a candidate since its training; so is one that was deleted and trained again.
SELECT
    model.id AS model_id,
    COALESCE(latest.stage, 'candidate') AS stage,
    COALESCE(latest.at, model.created_at) AS since
FROM model
LEFT JOIN promotion AS latest
    ON
        model.id = latest.model_id
        AND latest.stage <> 'deleted'
        AND NOT EXISTS (
            SELECT 1 FROM promotion AS later WHERE later.model_id = latest.model_id AND later.id > latest.id
        )
ORDER BY since DESC, model_id
