-- What did each evaluation find, newest first, also by examination and on images unlike those of the training?
-- It has a model, or the sweep of a cross-validation whose folds it pools.
SELECT
    created_at,
    id,
    model_id,
    sweep_id,
    dataset_digest AS manifest,
    split,
    n,
    n_seen,
    accuracy,
    accuracy_low,
    accuracy_high,
    macro_f1,
    macro_f1_low,
    macro_f1_high,
    tumor_accuracy,
    contrast_accuracy,
    examination_n,
    examination_accuracy,
    group_n,
    group_tumor_accuracy,
    unlike_n,
    unlike_accuracy,
    duplicate_free_n,
    duplicate_free_accuracy,
    duplicate_free_macro_f1
FROM evaluation
ORDER BY created_at DESC, id DESC
