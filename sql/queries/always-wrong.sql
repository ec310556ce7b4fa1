-- Which images of the newest data set does every model that was tested on them get wrong, the most models first?
-- Only images that at least two models were tested on, each in its latest evaluation. "taken_for" is the most frequent
-- answer, "probability" the highest that a model gave its answer.
-- about: dataset
-- empty: there is no image that at least two models were tested on and all get wrong
WITH latest AS (
    SELECT
        id,
        ROW_NUMBER() OVER (PARTITION BY model_id, split ORDER BY created_at DESC, id DESC) AS age
    FROM evaluation
    WHERE
        model_id IS NOT NULL
        AND split IN ('test', 'all')
        AND dataset_digest = :dataset
),
answer AS (
    SELECT
        image.path,
        image.true_label,
        image.predicted_label,
        COUNT(*) AS models,
        MAX(image.probability) AS probability
    FROM latest
    INNER JOIN evaluated_image AS image ON latest.id = image.evaluation_id
    WHERE latest.age = 1
    GROUP BY image.path, image.true_label, image.predicted_label
),
ranked AS (
    SELECT
        answer.*,
        ROW_NUMBER() OVER (PARTITION BY path ORDER BY models DESC, probability DESC, predicted_label) AS place
    FROM answer
)
SELECT
    path,
    true_label,
    MAX(CASE WHEN place = 1 THEN predicted_label END) AS taken_for,
    CAST(SUM(models) AS INTEGER) AS models,
    MAX(probability) AS probability
FROM ranked
GROUP BY path, true_label
HAVING SUM(models) >= 2 AND SUM(CASE WHEN predicted_label = true_label THEN 1 ELSE 0 END) = 0
ORDER BY models DESC, probability DESC, path
