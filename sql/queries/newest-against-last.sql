-- Is the newest test evaluation of each model worse than the one before, the largest loss first?
-- Compares evaluations of one model on the same data set and split. "low" is the lower end of the earlier 95 %
-- interval: below it the verdict is "worse", from it on "lower". Without an interval any loss is "worse". "tested_id"
-- is the model, or the sweep of a cross-validation as a whole.
-- empty: no model was tested twice on the same images; run: mri reevaluate
WITH ranked AS (
    SELECT
        evaluation.*,
        ROW_NUMBER() OVER (
            PARTITION BY model_id, sweep_id, dataset_digest, split ORDER BY created_at DESC, id DESC
        ) AS age
    FROM evaluation
    WHERE split IN ('test', 'all')
)
SELECT
    COALESCE(newest.model_id, newest.sweep_id) AS tested_id,
    newest.split,
    newest.created_at,
    newest.n,
    newest.accuracy,
    earlier.accuracy AS earlier,
    earlier.accuracy_low AS low,
    newest.accuracy - earlier.accuracy AS change,
    CASE
        WHEN newest.accuracy = earlier.accuracy THEN 'same'
        WHEN newest.accuracy < COALESCE(earlier.accuracy_low, earlier.accuracy) THEN 'worse'
        WHEN newest.accuracy < earlier.accuracy THEN 'lower'
        ELSE 'better'
    END AS verdict
FROM ranked AS newest
INNER JOIN ranked AS earlier
    ON
        newest.dataset_digest = earlier.dataset_digest
        AND newest.split = earlier.split
        AND (newest.model_id = earlier.model_id OR newest.sweep_id = earlier.sweep_id)
WHERE newest.age = 1 AND earlier.age = 2
ORDER BY change, newest.created_at DESC, newest.id
