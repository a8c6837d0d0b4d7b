"""What other trainers call things: words of transformers, accelerate, Megatron, nanoGPT and litgpt.

Words are written in small letters and with ``_``. A key that begins with ``ds.`` stands in
DeepSpeed's JSON. Who looks a word up is `dslm.config.foreign`.
"""

from __future__ import annotations

SAME_MEANING = {
    "steps": "max_steps max_iters train_iters num_train_steps train_steps total_steps iterations "
    "max_train_steps num_steps training_steps num_iterations n_steps iters max_step",
    "run": "output_dir out_dir save_dir run_dir output run_folder checkpoint_dir save out "
    "default_root_dir project_dir ckpt_dir output_path save_path run_path",
    "preset": "model model_name model_name_or_path model_type config_name model_size arch "
    "architecture preset_name base_model",
    "seed": "random_seed rng_seed manual_seed random_state",
    "log_interval": "logging_steps log_every log_steps log_freq print_every log_every_n_steps "
    "logging_interval log_iter_interval log_every_steps",
    "evaluation_interval": "eval_steps eval_interval eval_every eval_freq val_check_interval "
    "validation_interval val_interval valid_interval evaluation_steps val_every evaluate_every",
    "checkpoint_interval": "save_steps save_interval save_every checkpoint_every "
    "checkpointing_steps save_freq checkpoint_steps ckpt_interval checkpoint_freq saving_steps",
    "keep": "save_total_limit keep_last max_checkpoints keep_last_n total_limit num_to_keep",
    "keep_best": "load_best_model_at_end save_best",
    "best_by": "metric_for_best_model",
    "label_smoothing": "label_smoothing_factor",
    "layer_rate_decay": "layerwise_lr_decay layer_decay llrd",
    "lora.rank": "lora_rank lora_r",
    "lora.alpha": "lora_alpha",
    "lora.targets": "lora_target_modules target_modules",
    "patience": "early_stopping_patience early_stopping",
    "pipeline_stages": "pipeline_model_parallel_size pipeline_parallel_size pp num_stages "
    "pipe_parallel_size pipeline_parallel",
    "tensor_parallel": "tensor_model_parallel_size tensor_parallel_size tp model_parallel_size "
    "tp_size tensor_parallel_degree autotp_size",
    "sequence_parallel": "sequence_parallel_size context_parallel_size context_parallel cp "
    "context_parallel_degree sp_size ulysses_sequence_parallel_size ulysses_degree",
    "expert_parallel": "expert_parallel_size expert_model_parallel_size ep_size autoep_size ep",
    "model.layers": "n_layer n_layers num_layers num_hidden_layers depth n_blocks num_blocks "
    "encoder_layers",
    "model.heads": "n_head n_heads num_heads num_attention_heads nhead attention_heads",
    "model.key_value_heads": "num_key_value_heads n_kv_heads num_query_groups n_query_groups "
    "num_kv_heads n_kv_head kv_heads",
    "model.head_width": "head_dim d_kv kv_channels head_size dim_head d_head",
    "model.width": "n_embd d_model hidden_size hidden_dim embed_dim dim n_embed emb_dim model_dim "
    "embedding_dim hidden n_hidden d_embed",
    "model.feed_forward": "n_inner intermediate_size ffn_hidden_size d_ff ffn_dim dim_feedforward "
    "intermediate_dim mlp_dim ffn_size feedforward_dim",
    "model.experts": "num_experts num_local_experts n_experts n_routed_experts moe_num_experts",
    "model.experts_per_token": "num_experts_per_tok num_experts_per_token moe_top_k "
    "moe_router_topk n_experts_per_tok top_k_experts",
    "model.experts_normalized": "norm_topk_prob",
    "model.router_balance_loss": "router_aux_loss_coef moe_aux_loss_coeff aux_loss_coef",
    "model.router_z_loss": "router_z_loss_coef moe_z_loss_coeff z_loss_coef",
    "model.sequence": "block_size seq_length seq_len context_length max_seq_length max_seq_len "
    "n_positions n_ctx max_position_embeddings sequence_length context_size max_length window "
    "encoder_seq_length context_window max_sequence_length model_max_length",
    "model.vocabulary": "vocab_size padded_vocab_size vocabulary_size n_vocab num_embeddings",
    "model.dropout": "attention_dropout hidden_dropout resid_pdrop embd_pdrop attn_pdrop dropout_p "
    "hidden_dropout_prob attention_probs_dropout_prob dropout_rate dropout_prob",
    "model.norm_epsilon": "layer_norm_epsilon layer_norm_eps rms_norm_eps layernorm_epsilon "
    "norm_eps",
    "model.initialization": "initializer_range init_method_std init_std",
    "model.rotary_base": "rope_theta rope_base rotary_emb_base",
    "model.tied": "tie_word_embeddings tie_weights weight_tying tie_embeddings",
    "model.recompute": "gradient_checkpointing activation_checkpointing recompute_activations "
    "activation_recompute checkpoint_activations grad_checkpointing use_recompute",
    "compile": "torch_compile use_compile compile_model",
    "model.bias": "use_bias add_bias_linear attention_bias mlp_bias",
    "model.activation": "activation_function hidden_act act_fn hidden_activation",
    "model.qk_norm": "use_qk_norm qk_layernorm use_qk_layernorm",
    "model.positions": "position_embedding_type pos_emb positional_encoding",
    "schedule.warmup_steps": "warmup_iters lr_warmup_iters num_warmup_steps lr_warmup_steps warmup "
    "warmup_num_steps",
    "schedule.kind": "lr_scheduler_type lr_decay_style scheduler lr_scheduler lr_schedule "
    "scheduler_type schedule_type decay_style",
    "schedule.steps": "lr_decay_iters lr_decay_steps total_num_steps num_training_steps",
    "schedule.minimum": "min_lr_ratio cos_min_ratio final_lr_ratio lr_min_ratio",
    "data.train": "data_path train_data data_dir train_data_path train_dir train_set train_path "
    "dataset dataset_path train_dataset data train_files training_data shards",
    "data.validation": "val_data valid_data validation_data eval_data val_data_path "
    "valid_data_path eval_dataset validation_dataset val_dataset val_set validation_set val_dir",
    "precision": "dtype torch_dtype mixed_precision param_dtype compute_dtype amp_dtype",
    "lr": "learning_rate max_lr peak_lr base_lr rate",
    "batch": "global_batch_size total_batch_size train_batch effective_batch_size "
    "total_train_batch_size",
    "ds.train_micro_batch_size_per_gpu": "per_device_train_batch_size micro_batch_size micro_batch "
    "device_batch_size per_device_batch_size per_gpu_train_batch_size per_gpu_batch_size micro_bs "
    "train_step_batch_size mbs local_batch_size",
    "ds.gradient_accumulation_steps": "gradient_accumulation grad_accum accumulate_grad_batches "
    "grad_accum_steps gradient_accumulation_iters accumulation_steps accumulate accumulation",
    "ds.gradient_clipping": "max_grad_norm clip_grad grad_clip gradient_clip_val gradient_clip "
    "clip_grad_norm max_norm clip clipping",
    "ds.optimizer.type": "optim optimizer optimizer_type optimizer_name optim_type",
    "ds.optimizer.params.eps": "adam_epsilon adam_eps",
    "ds.optimizer.params.weight_decay": "wd decay adam_weight_decay",
    "ds.zero_optimization.stage": "zero_stage zero zero_optimization deepspeed_stage ds_stage "
    "zero_level",
    "tensorboard": "use_tensorboard tensorboard_dir tb log_tensorboard",
    "wandb": "use_wandb wandb_log",
}
"""The key of each word that means the same and takes the same values."""

VALUES = {
    "precision": {
        "bf16": "bfloat16 bf16_mixed bf16_true bf16_full",
        "fp16": "float16 half 16 16_mixed 16_true mixed amp",
        "fp32": "float32 float 32 32_true full single no fp32_full",
        "fp8": "float8 8",
    },
    "schedule.kind": {
        "cosine": "cosine_with_min_lr cos cosine_annealing warmup_cosine cosineannealinglr "
        "warmupcosinelr cosine_decay",
        "linear": "warmupdecaylr linear_decay warmup_linear polynomial linearlr",
        "constant": "constant_with_warmup warmuplr none fixed flat",
        "inverse_sqrt": "inverse_square_root noam rsqrt",
        "warmup_stable_decay": "wsd trapezoid trapezoidal",
    },
    "ds.optimizer.type": {
        "AdamW": "adamw adamw_torch adamw_hf adamw_torch_fused adamw_apex_fused fused_adam "
        "adamw_8bit paged_adamw_8bit",
        "Adam": "adam",
        "SGD": "sgd",
        "Lion": "lion lion_32bit",
        "Adagrad": "adagrad",
        "RMSprop": "rmsprop",
        "Muon": "muon",
        "Lamb": "lamb",
    },
    "model.activation": {
        "gelu_tanh": "gelu_new gelu_pytorch_tanh gelu_fast",
        "gelu": "gelu_python",
        "swiglu": "silu swish",
        "relu2": "squared_relu relu_squared relusquared",
    },
    "model.positions": {
        "learned": "absolute learned_absolute",
        "rotary": "rope rotary_embedding",
        "sinusoidal": "sin sinusoid",
    },
    "model.norm": {"rms": "rmsnorm rms_norm", "layer": "layernorm layer_norm"},
    "objective.kind": {
        "causal": "clm gpt causal_lm lm autoregressive",
        "masked": "mlm bert masked_lm",
        "denoising": "t5 span_corruption ul2",
    },
}
"""Our value for each of theirs, by key; theirs in small letters and with ``_``."""

FLAGS = {
    "bf16": "precision=bf16",
    "fp16": "precision=fp16",
    "fp8": "precision=fp8",
    "fp32": "precision=fp32",
    "bfloat16": "precision=bf16",
    "float16": "precision=fp16",
    "half": "precision=fp16",
    "use_bf16": "precision=bf16",
    "use_fp16": "precision=fp16",
    "bf16_full_eval": "precision=bf16",
    "cpu_offload": "ds.zero_optimization.offload_optimizer.device=cpu",
    "offload_optimizer": "ds.zero_optimization.offload_optimizer.device=cpu",
}
"""What to write for flags that are true; where they are false, nothing."""
