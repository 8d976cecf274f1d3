#!/bin/sh
# The whole way in small, from two XML files to a published, judged LoRA: 20 kanji, and a tiny model of random
# weights that a CPU trains in a minute. For a real one take the preset sd35-large-lora, and a GPU.
# It makes two private repositories in your name.
#   sh setup.sh generate && . .venv/bin/activate && kanjiprep setup-trainer && hf auth login
#   sh examples/whole_way.sh YOUR-NAME-ON-THE-HUB
set -eux
me=${1:?give your name on the Hub}

kanjiprep build kanji/ --limit 20 --size-px 256
kanjiprep check kanji/
kanjiprep push kanji/ "$me/kanji" --tag v1 --private

kanjiprep plan tiny-cpu --dataset "$me/kanji@v1" --set training.steps=100
kanjiprep rehearse tiny-cpu --dataset "$me/kanji@v1"
kanjiprep launch-simpletuner tiny-cpu --dataset "$me/kanji@v1" --name way --detach \
    --set training.steps=100 --set checkpoints.every_steps=20
timeout 300 sh -c 'until kanjiprep monitor way --once --json | grep -q "\"checkpoint\": {"; do sleep 1; done'
kanjiprep stop way
kanjiprep launch-simpletuner way --resume

kanjiprep score way
kanjiprep report way
kanjiprep publish way "$me/kanji-lora" --tag v1 --private
kanjiprep comfyui way --prompt Pikachu --style ink --checkpoint-file tiny.safetensors
kanjiprep comfyui --check runs/way/comfyui/
kanjiprep generate way --prompt Pikachu --style ink --size-px 64 --steps 2 --with-base
