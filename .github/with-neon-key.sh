#!/usr/bin/env bash
# Runs a command with NEON_API_KEY, which the identity that is signed in to Azure may read from the vault. From then on
# GitHub hides the key in this job's logs. NEON_API_KEY_SECRET: the secret's address, https://….vault.azure.net/secrets/….
set -euo pipefail
NEON_API_KEY=$(az keyvault secret show --id "$NEON_API_KEY_SECRET" --query value --output tsv)
# The escapes of a workflow command: without them a key with such a character would not be hidden whole.
escaped=${NEON_API_KEY//'%'/'%25'}
escaped=${escaped//$'\r'/'%0D'}
escaped=${escaped//$'\n'/'%0A'}
echo "::add-mask::$escaped"
export NEON_API_KEY
exec "$@"
