//! Discovery from the CPS URIs in certificates.
