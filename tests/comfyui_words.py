"""What is said of each workflow that is wrong, word by word."""

FOUND: dict[str, list[str]] = {
    "issue 5388": [
        "error 1 no-text-encoders: gives CLIP to node '4' (CLIPTextEncode) and node '5' (CLIPTextEncode), but "
        "its file 'sd3.5_large.safetensors' holds no text encoders (ComfyUI issue 5388); add a "
        "TripleCLIPLoader with clip_l.safetensors, clip_g.safetensors and t5xxl_fp16.safetensors, files of "
        "models/text_encoders, and take CLIP from it",
    ],
    "issue 5388 behind a lora": [
        "error 1 no-text-encoders: gives CLIP to node '4' (CLIPTextEncode), but its file "
        "'sd3.5_large.safetensors' holds no text encoders (ComfyUI issue 5388); add a TripleCLIPLoader with "
        "clip_l.safetensors, clip_g.safetensors and t5xxl_fp16.safetensors, files of models/text_encoders, and "
        "take CLIP from it",
    ],
    "no vae in a bare model": [
        "error 1 no-vae: gives VAE to node '8' (VAEDecode), but its file 'diffusion_pytorch_model.safetensors' "
        "is the bare model; load that file with UNETLoader, and add a VAELoader",
    ],
    "no clip in a unet": [
        "error 4 no-such-output: takes 'clip' from output 1 of node '1' (UNETLoader), which has only the "
        "output 0 (MODEL); UNETLoader loads neither text encoders nor a VAE: take CLIP from a TripleCLIPLoader "
        "and VAE from a VAELoader",
        "error 8 wrong-link-type: takes 'vae' from node '2' (TripleCLIPLoader), whose output 0 is of the type "
        "CLIP and not VAE; connect an output of the type VAE",
    ],
    "file undefined": [
        "error 3 no-file: names no file as 'lora_name': it is 'undefined', which ComfyUI writes for a file "
        "that it lacks; put the file into models/loras, reload the page and choose it",
    ],
    "file empty": [
        "error 1 no-file: names no file as 'ckpt_name': it is '', which ComfyUI writes for a file that it "
        "lacks; put the file into models/checkpoints, reload the page and choose it",
    ],
    "file null": [
        "error 2 no-file: names no file as 'clip_name3': it is null, which ComfyUI writes for a file that it "
        "lacks; put the file into models/text_encoders, reload the page and choose it",
    ],
    "file a number": [
        "error 2 no-file: names no file as 'clip_name3': it is 3; put the file into models/text_encoders, "
        "reload the page and choose it",
    ],
    "encoder twice": [
        "error 2 encoder-twice: loads 'clip_l.safetensors' twice; choose clip_l, clip_g and t5xxl, each once",
    ],
    "encoder missing": [
        "error 2 encoder-missing: loads 'clip_l.safetensors', 'clip_g.safetensors' and "
        "'sub/clip_l_v2.safetensors', so that t5xxl is missing; choose clip_l, clip_g and t5xxl, each once",
    ],
    "encoder twice in dual": [
        "error 2 encoder-twice: loads 'clip_l.safetensors' twice; choose two different files",
    ],
    "encoder type": [
        "error 2 encoder-type: has the type 'sdxl', and the model is Stable Diffusion 3; set the type to sd3",
    ],
    "encoder type of one": [
        "error 2 unknown-choice: has 'flux2' as 'type', which is none of its 16 choices; choose one in the UI",
        "error 2 encoder-type: has the type 'flux2', and the model is Stable Diffusion 3; set the type to sd3",
    ],
    "encoders of sd1": [
        "error 20 other-encoders: gives the text encoders of Stable Diffusion 1.5, and the model is Stable "
        "Diffusion 3; add a TripleCLIPLoader with clip_l.safetensors, clip_g.safetensors and "
        "t5xxl_fp16.safetensors, files of models/text_encoders, and take CLIP from it",
        "warning 2 idle-node: is not used by anything that is saved; connect it, or take it away",
    ],
    "triple for sd1": [
        "error 2 other-encoders: gives the text encoders of Stable Diffusion 3, and the model is Stable "
        "Diffusion 1.5; take CLIP from the checkpoint of Stable Diffusion 1.5",
    ],
    "vae of sd1": [
        "error 8 other-vae: decodes a picture of Stable Diffusion 3 with the VAE of Stable Diffusion 1.5 (node "
        "'20' (VAELoader)); take the VAE of Stable Diffusion 3",
    ],
    "lora as checkpoint": [
        "warning 1 wrong-file: loads 'pytorch_lora_weights.safetensors' as a model, which looks like a LoRA; "
        "load it with LoraLoaderModelOnly, and the base model here",
    ],
    "latent of 4 channels": [
        "warning 6 latent-channels: makes 4 channels, where Stable Diffusion 3 has 16; a new ComfyUI mends an "
        "empty one, an old one fails; use EmptySD3LatentImage",
    ],
    "latent of 16 channels": [
        "warning 6 latent-channels: makes 16 channels, where Stable Diffusion 1.5 has 4; a new ComfyUI mends "
        "an empty one, an old one fails; use EmptyLatentImage",
    ],
    "unknown node": [
        "error 7 unknown-node: is of a kind that this check does not know; it knows the usual nodes of ComfyUI "
        "0.3.64; did you mean 'KSampler'? Check custom and newer nodes against your server with --server",
    ],
    "custom node": [
        "error 20 unknown-node: is of a kind that this check does not know; it knows the usual nodes of "
        "ComfyUI 0.3.64; Check custom and newer nodes against your server with --server",
    ],
    "missing link": [
        "error 8 missing-input: has no 'vae'; connect an output of the type VAE",
    ],
    "missing value": [
        "error 7 missing-input: has no 'steps'; give it a value, such as 20",
    ],
    "missing file": [
        "error 3 missing-input: has no 'lora_name'; name a file of models/loras",
    ],
    "unknown input": [
        "warning 7 unknown-input: has an input 'sampler' that its kind does not know; did you mean 'sampler_name'?",
    ],
    "link to nowhere": [
        "error 7 link-to-nowhere: takes 'latent_image' from node '6', which is not there; connect an output of "
        "the type LATENT",
    ],
    "slot of nowhere": [
        "error 8 no-such-output: takes 'vae' from output 3 of node '1' (CheckpointLoaderSimple), which has "
        "only the outputs 0 (MODEL), 1 (CLIP) and 2 (VAE); connect an output of the type VAE",
    ],
    "negative slot": [
        "error 8 no-such-output: takes 'vae' from output -1 of node '1' (CheckpointLoaderSimple), which has "
        "only the outputs 0 (MODEL), 1 (CLIP) and 2 (VAE); connect an output of the type VAE",
    ],
    "slot of an end": [
        "error 20 no-such-output: takes 'images' from output 0 of node '9' (SaveImage), which has no output; "
        "connect an output of the type IMAGE",
    ],
    "wrong type of link": [
        "error 8 wrong-link-type: takes 'vae' from node '1' (CheckpointLoaderSimple), whose output 0 is of the "
        "type MODEL and not VAE; take output 2 of node '1' (CheckpointLoaderSimple)",
    ],
    "wrong node": [
        "error 7 wrong-link-type: takes 'positive' from node '2' (TripleCLIPLoader), whose output 0 is of the "
        "type CLIP and not CONDITIONING; connect an output of the type CONDITIONING",
        "warning 4 idle-node: is not used by anything that is saved; connect it, or take it away",
    ],
    "value for a link": [
        "error 7 value-for-link: has 'sd3.5_large.safetensors' as 'model', where a link is needed; connect an "
        "output of the type MODEL",
        "warning 3 lora-unused: is not used, so that the LoRA 'kanji.safetensors' has no effect; connect its "
        "MODEL output with the sampler",
    ],
    "link for a value": [
        "error 7 link-for-value: takes 'steps' from node '6' (EmptySD3LatentImage), whose output 0 is of the "
        "type LATENT and not INT; give it a value",
    ],
    "text for a number": [
        "error 7 wrong-value-type: has 'many' as 'steps', which is no number; give a whole number, such as 20",
    ],
    "none for a number": [
        "error 7 wrong-value-type: has null as 'cfg', which is no number; give a number, such as 8.0",
    ],
    "nan for a number": [
        "error 7 wrong-value-type: has nan as 'cfg', which is no number; give a number, such as 8.0",
    ],
    "digits for a number": [
        "warning 7 wrong-value-type: has '30' as 'steps', which ComfyUI reads as 30; give a whole number",
    ],
    "part of a step": [
        "warning 7 wrong-value-type: has 30.5 as 'steps', which ComfyUI reads as 30; give a whole number",
    ],
    "none for a text": [
        "error 4 wrong-value-type: has no text as 'text'; write one, or an empty one",
    ],
    "number for a text": [
        "warning 4 wrong-value-type: has 12 as 'text', which ComfyUI reads as a text; put it in quotes",
    ],
    "text for a flag": [
        "warning 20 wrong-value-type: has 'false' as 'value', which ComfyUI reads as true; give true or false",
        "warning 20 idle-node: is not used by anything that is saved; connect it, or take it away",
    ],
    "too small": [
        "error 7 out-of-range: has 0 as 'steps', and 1 is the least; give a number from 1 to 10000",
    ],
    "too large": [
        "error 7 out-of-range: has 1.5 as 'denoise', and 1 is the most; give a number from 0 to 1",
    ],
    "seed below 0": [
        "error 7 out-of-range: has -1 as 'seed', and 0 is the least; give a number from 0 to 18446744073709551615",
    ],
    "seed too large": [
        "error 7 out-of-range: has 18446744073709551616 as 'seed', and 18446744073709551615 is the most; give "
        "a number from 0 to 18446744073709551615",
    ],
    "off step": [
        "warning 6 off-step: has 1000 as 'width', which is no multiple of 16, so that ComfyUI cuts or pads it; "
        "the nearest is 992",
    ],
    "unknown sampler": [
        "error 7 unknown-choice: has 'dpm++_2m' as 'sampler_name', which is none of its 42 choices; did you "
        "mean 'dpmpp_2m'?",
    ],
    "sampler of another program": [
        "error 7 unknown-choice: has 'DPM++ 2M SDE' as 'sampler_name', which is none of its 42 choices; did "
        "you mean 'dpmpp_2m_sde'?",
    ],
    "unknown scheduler": [
        "error 7 unknown-choice: has 'turbo' as 'scheduler', which is none of its 9 choices; take one of "
        "'simple', 'sgm_uniform', 'karras', 'exponential', 'ddim_uniform', 'beta', 'normal', "
        "'linear_quadratic', 'kl_optimal'",
    ],
    "cycle": [
        "error 3 cycle: waits for itself: node '3' (LoraLoaderModelOnly) feeds node '20' (ModelSamplingSD3) "
        "feeds node '3' (LoraLoaderModelOnly); take one of these links away",
    ],
    "no output": [
        "error  no-output: has no node that makes something, so ComfyUI refuses it; add a SaveImage behind the "
        "VAEDecode",
    ],
    "nothing painted": [
        "warning  unpainted: saves nothing of node '7' (KSampler); connect the sampler with a VAEDecode, and "
        "this with the SaveImage",
        "warning 3 lora-unused: is not used, so that the LoRA 'kanji.safetensors' has no effect; connect its "
        "MODEL output with the sampler",
        "warning 8 idle-node: is not used by anything that is saved; connect it, or take it away",
    ],
    "idle node": [
        "warning 20 idle-node: is not used by anything that is saved; connect it, or take it away",
    ],
    "lora unused": [
        "warning 3 lora-unused: is not used, so that the LoRA 'kanji.safetensors' has no effect; connect its "
        "MODEL output with the sampler",
    ],
    "lora without strength": [
        "warning 3 lora-zero: applies the LoRA 'kanji.safetensors' with the strength 0, so that it has no "
        "effect; set strength_model to 1",
    ],
    "lora twice": [
        "warning 3 lora-twice: applies the LoRA 'kanji.safetensors' a second time; take one of them away, or "
        "raise the strength",
    ],
    "skipped layers of large": [
        "warning 20 skip-layers: skips layers of 'sd3.5_large.safetensors', and the numbers of layers are "
        "those of the medium model; take it away, or use it with SD3.5 Medium",
    ],
    "shift superfluous": [
        "warning 20 shift-superfluous: sets the shift 3, which the model has anyway; take it away",
    ],
    "high cfg": [
        "warning 7 high-cfg: has the cfg 12, which burns colours and breaks shapes; try 4.5 for SD3.5, 7.5 for "
        "SD 1.5",
    ],
    "few steps": [
        "warning 7 few-steps: takes 4 steps, too few for a clean picture; try 28 to 40",
    ],
    "many steps": [
        "warning 7 many-steps: takes 150 steps, which costs time and gains nothing; try 28 to 40",
    ],
    "guidance of turbo": [
        "warning 7 fast-cfg: has the cfg 4.5, and its model is made for 1; set cfg to 1",
    ],
    "prompts the same": [
        "warning 5 idle-node: is not used by anything that is saved; connect it, or take it away",
        "warning 7 prompts-same: has the same prompt as positive and as negative, so that the two cancel out; "
        "connect a second CLIPTextEncode with negative",
    ],
    "prompts swapped": [
        "warning 7 prompts-swapped: takes node '5' (CLIPTextEncode) as positive, which reads like a negative "
        "prompt; exchange it with node '4' (CLIPTextEncode)",
    ],
    "denoise of nothing": [
        "warning 7 denoise-empty: removes only 0.6 of the noise, and node '6' (EmptySD3LatentImage) is empty, "
        "so that noise is left; set denoise to 1, or start from a picture with VAEEncode",
    ],
    "small picture": [
        "warning 6 size: has 512 x 512 px, 0.26 megapixels, and the model is made for about 1; take 1024 x "
        "1024, or the size of the training",
    ],
    "large picture": [
        "warning 6 size: has 2048 x 1024 px, 2.1 megapixels, and the model is made for about 1; take 1024 x "
        "1024, or the size of the training",
    ],
    "prefix twice": [
        "warning 20 same-prefix: saves under 'kanji' as node '9' (SaveImage) does, so that their pictures are "
        "mixed; give each a prefix of its own",
    ],
    "prompts swapped by title": [
        "warning 7 prompts-swapped: takes node '4' (CLIPTextEncode) as positive, which reads like a negative "
        "prompt; exchange it with node '5' (CLIPTextEncode)",
    ],
}
"""Severity, node, rule, what and remedy of each finding, by the name of the fault."""
