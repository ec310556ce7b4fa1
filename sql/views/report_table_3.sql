-- Report, Table 3: what does the image size do to the validation metrics, over the models of the latest sweep?

-- 1e-9 lets halves round up on every database: 0.845 is a trifle less in binary.
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
    AND sweep_id = (SELECT sweep_id FROM model WHERE status = 'trained' ORDER BY created_at DESC, id DESC LIMIT 1)
ORDER BY image_size, created_at, id
