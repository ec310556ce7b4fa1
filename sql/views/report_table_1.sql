-- Report, Table 1: how many images of each contrast does the latest data set have?
-- about: dataset

-- 1e-9 lets halves round up on every database: 0.845 is slightly less in binary.
WITH latest AS (
    SELECT digest FROM dataset WHERE profile <> 'arrived' ORDER BY ingested_at DESC, digest DESC LIMIT 1
),
counted AS (
    SELECT contrast, CAST(SUM(n_ok) AS INTEGER) AS n
    FROM dataset_class
    WHERE dataset_digest = (SELECT digest FROM latest) AND contrast IS NOT NULL
    GROUP BY contrast
)
SELECT
    contrast,
    n,
    ROUND(CAST(100.0 * n / NULLIF((SELECT SUM(n) FROM counted), 0) + 1e-9 AS NUMERIC), 1) AS "%"
FROM counted
ORDER BY n DESC, contrast
