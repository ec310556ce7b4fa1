-- What is the latest test evaluation of each model, and of each cross-validation as a whole?
-- Questions about one model use it. Without --model they use the row with is_default = 1: that of the champion or, if
-- there is no champion, the latest of all.
-- empty: nothing was tested yet; run: mri evaluate
WITH ranked AS (
    SELECT
        id,
        model_id,
        sweep_id,
        dataset_digest,
        split,
        created_at,
        ROW_NUMBER() OVER (PARTITION BY model_id, sweep_id ORDER BY created_at DESC, id DESC) AS age,
        ROW_NUMBER() OVER (
            ORDER BY
                CASE WHEN model_id = (SELECT model_id FROM champion) THEN 0 ELSE 1 END,
                created_at DESC,
                id DESC
        ) AS place
    FROM evaluation
    WHERE split IN ('test', 'all')
)
SELECT
    id AS evaluation_id,
    model_id,
    sweep_id,
    dataset_digest,
    split,
    created_at,
    CASE
        WHEN place > 1 THEN 0
        WHEN model_id = (SELECT model_id FROM champion) THEN 1
        WHEN EXISTS (SELECT 1 FROM champion) THEN 0
        ELSE 1
    END AS is_default
FROM ranked
WHERE age = 1
ORDER BY created_at DESC, id DESC
