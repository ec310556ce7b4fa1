-- Which model, weights, preprocessing, temperature and engine gave the result of a file?
-- "weights" is the SHA-256 of the file of weights; the probabilities are softmax(logits / temperature).
-- empty: no scored file has this path
-- :path  the path of a scored file, or the end of it; default: the ten files scored last
WITH result AS (
    SELECT
        prediction.*,
        ROW_NUMBER() OVER (
            ORDER BY
                CASE WHEN scored_at IS NULL THEN 1 ELSE 0 END,
                scored_at DESC,
                path,
                sha256,
                model_id
        ) AS place
    FROM prediction
    WHERE
        CAST(:path AS TEXT) IS NULL
        OR path = CAST(:path AS TEXT)
        OR (
            LENGTH(path) > LENGTH(CAST(:path AS TEXT))
            AND SUBSTR(path, LENGTH(path) - LENGTH(CAST(:path AS TEXT))) = '/' || CAST(:path AS TEXT)
        )
)
SELECT
    result.path,
    result.sha256 AS file_sha256,
    result.status,
    result.reason,
    result.label,
    result.probability,
    result.distance,
    result.risk,
    result.scored_at,
    result.run_id,
    result.model_id,
    model_stage.stage,
    model.sha256 AS weights,
    model.temperature,
    scoring_run.engine,
    CAST(model.preprocessing AS TEXT) AS preprocessing
FROM result
INNER JOIN model ON result.model_id = model.id
INNER JOIN model_stage ON model.id = model_stage.model_id
INNER JOIN scoring_run ON result.run_id = scoring_run.id
WHERE result.place <= 10 OR CAST(:path AS TEXT) IS NOT NULL
ORDER BY result.place
