"""When does the inter-instance term pay? Networks trained on people of whom all, few or none have both modalities."""

from toposlearn.studies.pairing.study import run_pairing
