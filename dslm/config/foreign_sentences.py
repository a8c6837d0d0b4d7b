"""Words of other trainers that no key of ours stands for, and what to do instead."""

from __future__ import annotations

SENTENCES: dict[str, tuple[str, str]] = {
    "resume resume_from_checkpoint resume_from auto_resume load load_checkpoint ckpt_path "
    "checkpoint from_checkpoint resume_training load_dir continue restore": (
        "the same command again resumes from the newest checkpoint of run=",
        "leave it out",
    ),
    "num_train_epochs epochs num_epochs max_epochs epoch n_epochs train_epochs": (
        "a run is measured in steps",
        "write steps=…; the first screen, and dslm check, say how many epochs they are",
    ),
    "batch_size bs": (
        "is a step's batch to some, and a rank's to others",
        "write batch={value} for all windows of a step, or "
        "ds.train_micro_batch_size_per_gpu={value} for those that a rank computes at once",
    ),
    "per_device_eval_batch_size eval_batch_size val_batch_size per_gpu_eval_batch_size": (
        "the validation is measured with the micro-batches of training",
        "leave it out; data.validation_windows=… says how much is measured",
    ),
    "eval_iters eval_batches limit_val_batches max_eval_samples": (
        "how much is measured is counted in windows",
        "write data.validation_windows=…",
    ),
    "warmup_ratio warmup_fraction lr_warmup_fraction pct_start warmup_proportion": (
        "the warm-up is counted in steps, and a tenth of them unless given",
        "write schedule.warmup_steps=…",
    ),
    "min_lr end_lr lr_min eta_min final_lr": (
        "the last rate is a share of the peak, a tenth unless given",
        "write schedule.minimum=0.1, or the share that yours is",
    ),
    "adam_beta1 adam_beta2 beta1 beta2": (
        "the two are one list",
        "write ds.optimizer.params.betas='[0.9, 0.95]'",
    ),
    "decay_lr lr_decay": (
        "is on unless the schedule is constant",
        "write schedule.kind=constant, or leave it out",
    ),
    "tokenizer tokenizer_name tokenizer_path tokenizer_model vocab_file merge_file tokenizer_type "
    "tokenizer_name_or_path tokenizer_dir": (
        "the shards know their tokenizer",
        "leave it out; preprocess/shard.py takes it: --tokenizer FOLDER",
    ),
    "train_file dataset_name dataset_config_name text_file text_column input input_file corpus": (
        "training reads shards, not text",
        "make them with preprocess/shard.py --input … --output shards/train, then write "
        "data.train=shards/train",
    ),
    "validation_file val_file eval_file valid_file": (
        "the validation reads shards, not text",
        "make them with preprocess/shard.py --input … --output shards/validation, then write "
        "data.validation=shards/validation",
    ),
    "split validation_split_percentage val_split test_size train_split": (
        "the text is split before it is sharded",
        "shard both parts, and write data.train=… data.validation=…",
    ),
    "report_to wandb_project wandb_run_name logger log_with wandb_entity loggers": (
        "every run writes metrics.jsonl and report.html",
        "leave it out, or write tensorboard=true or wandb=true for files of theirs as well",
    ),
    "run_name exp_name experiment_name project project_name logging_dir log_dir": (
        "a run is named by its folder, which holds its logs",
        "write run=runs/NAME",
    ),
    "device accelerator no_cuda use_cpu device_type": (
        "the ranks take the GPUs that there are, else the CPU",
        "leave it out; DS_ACCELERATOR=cpu before the command keeps to the CPU",
    ),
    "devices num_gpus n_gpu n_gpus num_processes nproc_per_node gpus num_nodes nnodes world_size "
    "num_machines hostfile include exclude master_port master_addr num_proc ngpus "
    "gpus_per_node": (
        "is said to the launcher",
        "write it before the script: deepspeed --num_gpus 2 launch/pretrain.py …",
    ),
    "flash_attention use_flash_attn flash_attn attn_implementation use_flash_attention flash "
    "use_flash_attention_2": (
        "torch chooses the fastest attention that there is",
        "leave it out",
    ),
    "num_workers dataloader_num_workers pin_memory dataloader_pin_memory prefetch_factor "
    "preprocessing_num_workers dataloader_drop_last shuffle group_by_length cache_dir "
    "use_cache": (
        "rows are read in place, in an order that is a function of seed and step",
        "leave it out",
    ),
    "do_train do_eval do_predict eval_only mode trainer train_mode": (
        "pretrain trains, and measures where data.validation is given",
        "leave it out; launch/evaluate.py measures alone",
    ),
    "evaluation_strategy eval_strategy": (
        "the loss is measured every so many steps",
        "write evaluation_interval=…",
    ),
    "save_strategy always_save_checkpoint save_only_model": (
        "checkpoints are written every so many steps",
        "write checkpoint_interval=…",
    ),
    "logging_strategy logging_first_step disable_tqdm verbose": (
        "metrics are written every so many steps",
        "write log_interval=…",
    ),
    "greater_is_better": (
        "a higher metric is a better one, and a lower loss",
        "leave it out; best_by=… says which chooses the best checkpoint",
    ),
    "overwrite_output_dir": (
        "a run never overwrites another",
        "leave it out; to start over choose another run=, or remove the folder first",
    ),
    "data_seed": ("seed decides the order of the data too", "write seed=…"),
    "z_loss aux_loss": (
        "the loss is the plain cross-entropy",
        "leave it out",
    ),
    "tf32 allow_tf32 full_determinism deterministic use_deterministic": (
        "a run is computed the same way every time",
        "leave it out",
    ),
    "push_to_hub hub_model_id hub_token trust_remote_code remove_unused_columns": (
        "nothing is sent, downloaded or run from elsewhere",
        "leave it out; dslm hub export RUN FOLDER writes Hugging Face's form",
    ),
}
"""What each word (several a line) meets here, and what to do; {value} is what was typed."""

OPTIONS = {
    "--deepspeed_config": "deepspeed deepspeed_config ds_config deepspeed_file ds_config_file "
    "deepspeed_json",
    "--config": "config config_file cfg settings",
}
"""Words for what is an option here."""
