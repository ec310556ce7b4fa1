-- The latest test evaluations of two models on the same data set and split.
SELECT this.id AS evaluation, other.id AS other_evaluation
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
