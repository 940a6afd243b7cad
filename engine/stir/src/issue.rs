//! A certificate authority **for development and tests only**: a root, an issuing authority and signers'
//! certificates with a TNAuthList, so that a demo and tests need nobody's permission. Nobody trusts it, it keeps
//! no records and revokes nothing; a real one is approved by the country's policy authority.

use core::time::Duration;

use herald_core::Random;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SerialNumber,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use zeroize::Zeroizing;

use crate::certificate::TnAuthList;
use crate::error::StirError;
use crate::es256::SigningKey;

const TN_AUTH_LIST_OID: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 26];

/// From when to when a certificate holds, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub from_s: u64,
    /// The last second.
    pub to_s: u64,
}

/// A signer's certificate and key.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The chain that `x5u` is to serve: the signer's certificate, then the issuing authority's.
    pub chain_pem: String,
    /// The key that goes with it.
    pub key: SigningKey,
}

/// A certificate authority for development and tests.
pub struct DevelopmentAuthority {
    issuer: Issuer<'static, KeyPair>,
    issuing_key: SigningKey,
    issuing_pem: String,
    root_pem: String,
}

impl DevelopmentAuthority {
    /// A new root and, under it, an issuing authority called `name`. The root's key is forgotten at once. Keys and
    /// serial numbers come from `random`; the signatures' nonces are the operating system's.
    ///
    /// # Errors
    /// [`StirError::Issue`].
    pub fn new(name: &str, validity: Validity, random: &dyn Random) -> Result<Self, StirError> {
        let root_name = format!("{name} root");
        let root_params = authority_params(&root_name, 1, validity, random);
        let root_key = key_pair(&SigningKey::generate(random))?;
        let root_pem = root_params.self_signed(&root_key).map_err(issue_error)?.pem();
        let root = Issuer::new(root_params, root_key);

        let params = authority_params(name, 0, validity, random);
        let issuing_key = SigningKey::generate(random);
        let key = key_pair(&issuing_key)?;
        let issuing_pem = params.signed_by(&key, &root).map_err(issue_error)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), issuing_key, issuing_pem, root_pem })
    }

    /// An authority that was made before under the same `name`, from what it was kept as.
    ///
    /// # Errors
    /// [`StirError::SigningKey`], [`StirError::Issue`]. That the parts belong together is not checked: chains it
    /// issues would not verify.
    pub fn restore(
        name: &str,
        root_pem: &str,
        issuing_pem: &str,
        issuing_key_pem: &str,
        random: &dyn Random,
    ) -> Result<Self, StirError> {
        let issuing_key = SigningKey::from_pem(issuing_key_pem)?;
        // The validity stands in the certificate already; an issuer needs name and key only.
        let params = authority_params(name, 0, Validity { from_s: 0, to_s: 0 }, random);
        Ok(Self {
            issuer: Issuer::new(params, key_pair(&issuing_key)?),
            issuing_key,
            issuing_pem: issuing_pem.to_owned(),
            root_pem: root_pem.to_owned(),
        })
    }

    /// The root certificate, to be trusted by those who take part.
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// The issuing authority's certificate.
    pub fn issuing_pem(&self) -> &str {
        &self.issuing_pem
    }

    /// The issuing authority's key in PKCS#8 PEM; wiped when dropped.
    pub fn issuing_key_pem(&self) -> Zeroizing<String> {
        self.issuing_key.to_pkcs8_pem()
    }

    /// Issues a certificate and key to a signer who stands for `numbers`.
    ///
    /// # Errors
    /// [`StirError::Issue`].
    pub fn issue(
        &self,
        subject: &str,
        numbers: &TnAuthList,
        validity: Validity,
        random: &dyn Random,
    ) -> Result<Issued, StirError> {
        let key = SigningKey::generate(random);
        let mut params = params(subject, validity, random);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.custom_extensions =
            vec![CustomExtension::from_oid_content(TN_AUTH_LIST_OID, numbers.to_der())];
        let certificate = params.signed_by(&key_pair(&key)?, &self.issuer).map_err(issue_error)?;
        Ok(Issued { chain_pem: certificate.pem() + &self.issuing_pem, key })
    }
}

impl core::fmt::Debug for DevelopmentAuthority {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("DevelopmentAuthority(..)")
    }
}

fn authority_params(
    name: &str,
    authorities_below: u8,
    validity: Validity,
    random: &dyn Random,
) -> CertificateParams {
    let mut params = params(name, validity, random);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(authorities_below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn params(name: &str, validity: Validity, random: &dyn Random) -> CertificateParams {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let mut serial = [0; 16];
    random.fill(&mut serial);
    serial[0] &= 0x7f;
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::OrganizationName, "Herald development, not for service");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = epoch + Duration::from_secs(validity.from_s);
    params.not_after = epoch + Duration::from_secs(validity.to_s);
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.use_authority_key_identifier_extension = true;
    params
}

fn key_pair(key: &SigningKey) -> Result<KeyPair, StirError> {
    let der = key.to_pkcs8_der();
    KeyPair::from_pkcs8_der_and_sign_algo(
        &PrivatePkcs8KeyDer::from(der.as_slice()),
        &rcgen::PKCS_ECDSA_P256_SHA256,
    )
    .map_err(issue_error)
}

#[cold]
fn issue_error(error: rcgen::Error) -> StirError {
    StirError::Issue(error.to_string())
}
