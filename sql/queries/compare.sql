-- How does one model compare with another on each class, the class that lost most first?
-- Uses the latest test evaluations of the two on the same data set and split. "change" is f1 - other_f1; "verdict" is
-- better or worse only where the two 95 % intervals do not overlap and at least five groups were tested. Models of
-- different protocols are tested on different images. The interval of the difference needs a bootstrap over groups, which
-- SQL cannot do: mri report A --compare B, or mri promote MODEL --json, which is also the gate.
-- about: pair
-- :model  a model id or the start of one; default: the champion, if not the other one; else the one evaluated last
-- :other  a model id or the start of one; default: the champion, if not the first one; else the one evaluated last
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
FROM class_metric AS this
INNER JOIN class_metric AS other ON this.label = other.label
WHERE this.evaluation_id = :evaluation AND other.evaluation_id = :other_evaluation
ORDER BY change, this.label
