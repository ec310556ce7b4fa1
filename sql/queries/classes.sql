-- How many images and independent groups has each class, in all and tested, and which F1 has the champion?
-- The tested ones are those of its latest test evaluation. A group is probably one source, such as an examination. The
-- classes with the fewest tested groups come first: their figures mean least.
-- about: evaluation
-- :model  a model id or the start of one; default: the champion, without one the model evaluated last
SELECT
    m.label,
    d.n_ok AS images,
    d.n_groups AS "groups",
    m.support AS tested,
    m.n_groups AS "tested groups",
    CASE WHEN m.support > 0 THEN m.precision END AS "precision",
    CASE WHEN m.support > 0 THEN m.recall END AS recall,
    CASE WHEN m.support > 0 THEN m.f1 END AS f1
FROM evaluation AS e
INNER JOIN class_metric AS m ON m.evaluation_id = e.id
LEFT JOIN dataset_class AS d ON d.dataset_digest = e.dataset_digest AND d.label = m.label
WHERE e.id = :evaluation
ORDER BY CASE WHEN m.n_groups IS NULL THEN 1 ELSE 0 END, m.n_groups, m.label
