-- Report, Table 3: how does the image size change the validation metrics, over the models of the latest sweep?
-- A model trained later than the latest sweep, in no sweep, stands alone.

-- 1e-9 lets halves round up on every database: 0.845 is slightly less in binary.
WITH candidate AS (
    SELECT
        sweep.id AS sweep_id,
        CAST(NULL AS TEXT) AS model_id,
        sweep.recorded_at AS recorded_at
    FROM sweep
    WHERE EXISTS (
        SELECT 1
        FROM sweep_model
        INNER JOIN model ON sweep_model.model_id = model.id
        WHERE sweep_model.sweep_id = sweep.id AND model.status = 'trained'
    )
    UNION ALL
    SELECT
        CAST(NULL AS TEXT) AS sweep_id,
        model.id AS model_id,
        model.created_at AS recorded_at
    FROM model
    WHERE
        model.status = 'trained'
        AND NOT EXISTS (SELECT 1 FROM sweep_model WHERE sweep_model.model_id = model.id)
),
latest AS (
    SELECT sweep_id, model_id
    FROM candidate
    ORDER BY recorded_at DESC, COALESCE(sweep_id, model_id) DESC
    LIMIT 1
)
SELECT
    CAST(image_size AS TEXT) || 'x' || CAST(image_size AS TEXT) AS "image size",
    batch_size AS "batch size",
    ROUND(CAST(train_accuracy + 1e-9 AS NUMERIC), 3) AS "training accuracy",
    ROUND(CAST(val_accuracy + 1e-9 AS NUMERIC), 3) AS "accuracy",
    ROUND(CAST(val_precision + 1e-9 AS NUMERIC), 2) AS "avg precision",
    ROUND(CAST(val_recall + 1e-9 AS NUMERIC), 2) AS "avg recall",
    ROUND(CAST(val_f1 + 1e-9 AS NUMERIC), 2) AS "avg F1"
FROM model
WHERE
    status = 'trained'
    AND (
        id = (SELECT model_id FROM latest)
        OR id IN (SELECT model_id FROM sweep_model WHERE sweep_id = (SELECT sweep_id FROM latest))
    )
ORDER BY image_size, created_at, id
