-- Report, Table 4: how good is the latest test evaluation over all images?
-- It may be the pooled evaluation of a cross-validation; the same applies to Tables 5 and 6.
-- about: newest_evaluation

-- 1e-9 lets halves round up on every database: 0.845 is slightly less in binary.
WITH latest AS (
    SELECT * FROM evaluation WHERE split IN ('test', 'all') ORDER BY created_at DESC, id DESC LIMIT 1
),
measured AS (
    SELECT
        1 AS position,
        'Accuracy' AS measure,
        accuracy,
        CAST(NULL AS DOUBLE PRECISION) AS average_precision,
        CAST(NULL AS DOUBLE PRECISION) AS average_recall,
        CAST(NULL AS DOUBLE PRECISION) AS average_f1
    FROM latest
    UNION ALL
    SELECT 2, 'Macro Average', NULL, macro_precision, macro_recall, macro_f1 FROM latest
    UNION ALL
    SELECT 3, 'Weighted Average', NULL, weighted_precision, weighted_recall, weighted_f1 FROM latest
)
SELECT
    measure,
    ROUND(CAST(accuracy + 1e-9 AS NUMERIC), 2) AS "accuracy",
    ROUND(CAST(average_precision + 1e-9 AS NUMERIC), 2) AS "avg precision",
    ROUND(CAST(average_recall + 1e-9 AS NUMERIC), 2) AS "avg recall",
    ROUND(CAST(average_f1 + 1e-9 AS NUMERIC), 2) AS "avg F1"
FROM measured
ORDER BY position
