-- How many images and independent groups has each class, in all and in the latest test evaluation, and what is its F1?
-- A group is probably one source, such as an examination. The classes with the fewest tested groups come first: their
-- figures mean least.
WITH latest AS (
    SELECT id, dataset_digest
    FROM evaluation
    WHERE split IN ('test', 'all')
    ORDER BY created_at DESC, id DESC
    LIMIT 1
)
SELECT
    m.label,
    d.n_ok AS images,
    d.n_groups AS "groups",
    m.support AS tested,
    m.n_groups AS "tested groups",
    CASE WHEN m.support > 0 THEN m.precision END AS "precision",
    CASE WHEN m.support > 0 THEN m.recall END AS recall,
    CASE WHEN m.support > 0 THEN m.f1 END AS f1
FROM latest AS e
INNER JOIN class_metric AS m ON m.evaluation_id = e.id
LEFT JOIN dataset_class AS d ON d.dataset_digest = e.dataset_digest AND d.label = m.label
ORDER BY CASE WHEN m.n_groups IS NULL THEN 1 ELSE 0 END, m.n_groups, m.label
