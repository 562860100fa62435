//! What the dispatcher knows that neither the job nor the device says.

use job::JobId;

/// What the dispatcher knows that neither the job nor the device says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The job's id.
    pub job_id: JobId,
    /// The address by which devices reach this host.
    pub dispatcher_ip: String,
    /// Sets the jobs of several dispatchers on one host apart.
    pub prefix: String,
    /// The variables of `env-dut`, resolved, where the dispatcher has any.
    pub env_dut: Option<Vec<(String, String)>>,
    /// The rest of the dispatcher's configuration.
    pub dispatcher: DispatcherConfig,
}

/// The part of `dispatcher.yaml` that planning depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DispatcherConfig {
    /// `http_url_format_string`: the URL of a cache, with `%s` for the quoted URL.
    pub http_url_format_string: Option<String>,
}

impl Facts {
    /// The facts of a job on a dispatcher without configuration.
    pub fn new(job_id: JobId) -> Self {
        Self {
            job_id,
            dispatcher_ip: String::new(),
            prefix: String::new(),
            env_dut: None,
            dispatcher: DispatcherConfig::default(),
        }
    }
}
