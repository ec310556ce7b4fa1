-- What did each evaluation find, newest first, also on the duplicate-free subset of its images?
-- It has a model, or the sweep of a cross-validation whose folds it pools.
SELECT
    created_at,
    id,
    model_id,
    sweep_id,
    split,
    n,
    accuracy,
    accuracy_low,
    accuracy_high,
    macro_f1,
    macro_f1_low,
    macro_f1_high,
    tumor_accuracy,
    contrast_accuracy,
    n_seen,
    duplicate_free_n,
    duplicate_free_accuracy,
    duplicate_free_macro_f1
FROM evaluation
ORDER BY created_at DESC, id DESC
