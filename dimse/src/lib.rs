//! DICOM over a network: C-ECHO and C-STORE.
