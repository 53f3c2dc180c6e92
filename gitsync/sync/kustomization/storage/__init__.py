"""What Kustomizations did, kept in the cluster: ``statusstore`` keeps the inventory in the status, ``rootstore`` that
of the sync of the settings in the status of the one that stands for it, too; ``journal`` keeps what commits did."""
