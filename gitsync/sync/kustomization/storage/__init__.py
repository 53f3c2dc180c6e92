"""What Kustomizations did, kept in the cluster: ``statusstore`` keeps an inventory in the Kustomization's status;
``rootstore`` keeps that of the sync of the settings also in the status of the Kustomization that stands for it;
``journal`` keeps what commits did."""
