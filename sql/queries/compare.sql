-- How does one model compare with another on each class, the class that lost most first?
-- Uses the latest test evaluations of the two on the same data set and split. "change" is f1 - other_f1; "verdict" is
-- better or worse only where the two 95 % intervals do not overlap and at least five groups were tested. Models of
-- different protocols are tested on different images.
-- :model  a model id or the start of one; default: the champion, if not the other one; else the one evaluated last
-- :other  a model id or the start of one; default: the champion, if not the first one; else the one evaluated last
WITH pair AS (
    SELECT this.id AS this_id, other.id AS other_id
    FROM evaluation AS this
    INNER JOIN evaluation AS other
        ON
            this.dataset_digest = other.dataset_digest
            AND this.split = other.split
            AND this.model_id <> other.model_id
    WHERE
        this.split IN ('test', 'all')
        AND this.model_id = COALESCE(
            CAST(:model AS TEXT),
            (SELECT model_id FROM champion WHERE model_id <> COALESCE(CAST(:other AS TEXT), '')),
            (
                SELECT model_id
                FROM latest_evaluation
                WHERE model_id IS NOT NULL AND model_id <> COALESCE(CAST(:other AS TEXT), '')
                ORDER BY created_at DESC, evaluation_id DESC
                LIMIT 1
            )
        )
        AND other.model_id = COALESCE(
            CAST(:other AS TEXT),
            (SELECT champion.model_id FROM champion WHERE champion.model_id <> this.model_id),
            other.model_id
        )
    ORDER BY this.created_at DESC, this.id DESC, other.created_at DESC, other.id DESC
    LIMIT 1
)
SELECT
    this.label,
    this.support AS n,
    this.f1,
    this.f1_low,
    this.f1_high,
    other.f1 AS other_f1,
    other.f1_low AS other_low,
    other.f1_high AS other_high,
    this.f1 - other.f1 AS change,
    CASE
        WHEN COALESCE(this.n_groups, 0) < 5 THEN ''
        WHEN this.f1_low > other.f1_high THEN 'better'
        WHEN this.f1_high < other.f1_low THEN 'worse'
        ELSE ''
    END AS verdict
FROM pair
INNER JOIN class_metric AS this ON pair.this_id = this.evaluation_id
INNER JOIN class_metric AS other ON pair.other_id = other.evaluation_id AND this.label = other.label
ORDER BY change, this.label
